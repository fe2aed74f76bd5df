"""Accuracy on annotated clips: metrics, protocols and reports."""
