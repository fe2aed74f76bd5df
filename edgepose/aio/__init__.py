"""Trackers for programs with an event loop."""
