"""Tracking and selection over whole files, where later frames may be looked at first."""
