"""Thin-Slicing: heat-maps of neighbouring frames exchange messages along springs (SPEC section 6)."""
