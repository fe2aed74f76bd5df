"""Parts of ``python -m benchmarks server``."""
