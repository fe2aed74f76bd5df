"""Weights that the comparison of DKD with its published form starts from."""
