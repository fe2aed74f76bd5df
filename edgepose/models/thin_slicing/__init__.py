"""Thin-Slicing: differentiable message passing between joints and frames."""
