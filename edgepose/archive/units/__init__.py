"""One unit: its frames, its poses, and identities over the cuts of a video."""
