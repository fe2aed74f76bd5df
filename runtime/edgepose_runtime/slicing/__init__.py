"""Thin-Slicing: heat-maps of neighbouring frames exchange messages along springs (SPEC 6)."""
