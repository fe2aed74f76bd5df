"""Skeletons, conversions between them, and everything that happens to the joints of a pose."""
