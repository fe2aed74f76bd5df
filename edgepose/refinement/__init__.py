"""Refinement of poses by neighbouring frames: the interface, and Thin-Slicing."""
