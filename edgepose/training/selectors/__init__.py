"""Training of key-frame selectors (K-FPN and its forms)."""
