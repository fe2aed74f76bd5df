"""Learning the springs of Thin-Slicing's graph."""
