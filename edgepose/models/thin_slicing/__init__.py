"""Thin-Slicing: differentiable message passing between joints and frames.

Equations: docs/background/thin-slicing.md.
"""
