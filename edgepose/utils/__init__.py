"""Helpers without a domain of their own: machine, progress, signals, arguments, output files."""
