"""Pictures of the documentation, drawn by ``python -m benchmarks figures``."""
