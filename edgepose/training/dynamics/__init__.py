"""Training of dictionaries of dynamics for key frames and interpolation."""
