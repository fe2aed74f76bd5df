"""Hostile inputs: what they end with, and whether anything hangs, crashes or leaks."""

from benchmarks.attack.long_form import main

__all__ = ["main"]
