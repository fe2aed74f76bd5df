"""Builds the sets of people and of backgrounds that recipes train on, from downloaded pictures."""
