"""Readers of annotated data sets: one module a set, each of which yields the same records."""
