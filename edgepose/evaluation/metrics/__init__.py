"""Metrics of accuracy and smoothness: PCK, scores over clips, lag and jitter."""
