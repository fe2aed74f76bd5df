"""``python -m edgepose_converters.kernels``: makes the library anew after a change of kernels."""

from __future__ import annotations

import sys

from edgepose_converters.kernels.build import build

path = build()
sys.stdout.write(f"{path}: {path.stat().st_size / 1000:.0f} kB\n")
