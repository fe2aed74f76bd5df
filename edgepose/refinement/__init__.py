"""Refinement of poses by neighbouring frames: Thin-Slicing, of one person or several."""
