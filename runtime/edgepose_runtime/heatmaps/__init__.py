"""Decoding heat-maps to joints, and resampling them between regions."""
