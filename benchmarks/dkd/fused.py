"""Matching in a numba kernel, between a graph that ends with V and one that starts with Φ."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from benchmarks.dkd.forms import CELLS, EDGE, SIDE
from edgepose_runtime.backends import Network

Floats = NDArray[np.float32]


class Fused:
    """V in a runtime, the filters in a kernel, U and BN as a product of matrices.

    Args:
        v: from ``in0``, features (1, C, h, w), to ``out``.
        u: (K, C), with BN folded into it.
        bias: (K,).
    """

    def __init__(self, v: Network, u: Floats, bias: Floats) -> None:
        self._v, self._u, self._bias = v, u, bias
        self._padded = np.zeros((u.shape[1], CELLS + 2 * EDGE, CELLS + 2 * EDGE), np.float32)
        self._found = np.empty((u.shape[1], CELLS, CELLS), np.float32)

    def __call__(self, features: Floats, kernels: Floats) -> Floats:
        """Return the heat-maps (1, K, h, w)."""
        seen = self._v.infer({"in0": features})["out"][0]
        self._padded[:, EDGE:-EDGE, EDGE:-EDGE] = seen
        correlate(self._padded, kernels[0], self._found)
        maps = self._u @ self._found.reshape(len(self._found), -1) + self._bias[:, None]
        heatmaps: Floats = maps.reshape(1, -1, CELLS, CELLS)
        return heatmaps


@njit(fastmath=True)
def correlate(padded: Floats, kernels: Floats, out: Floats) -> None:
    """Filter each channel (C, h + 6, w + 6) with its own kernel into ``out`` (C, h, w)."""
    channels, height, width = out.shape
    for channel in range(channels):
        for y in range(height):
            line = np.zeros(width, np.float32)
            for row in range(SIDE):
                for place in range(SIDE):
                    tap = kernels[channel, row, place]
                    for x in range(width):
                        line[x] += tap * padded[channel, y + row, x + place]
            out[channel, y] = line
