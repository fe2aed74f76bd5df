"""Thin-Slicing on the device: distance transform, springs, messages, sliding windows."""
