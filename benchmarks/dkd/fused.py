"""Matching in a numba kernel, between a graph that ends with V and one that starts with Φ."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

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

    def __call__(self, features: Floats, kernels: Floats) -> Floats:
        """Return the heat-maps (1, K, h, w)."""
        seen, edge = self._v.infer({"in0": features})["out"][0], kernels.shape[-1] // 2
        channels, height, width = seen.shape
        padded = np.zeros((channels, height + 2 * edge, width + 2 * edge), np.float32)
        padded[:, edge:-edge, edge:-edge] = seen
        found = np.empty_like(seen)
        correlate(padded, kernels[0], found)
        maps = self._u @ found.reshape(len(found), -1) + self._bias[:, None]
        heatmaps: Floats = maps.reshape(1, -1, *seen.shape[1:])
        return heatmaps


@njit(fastmath=True)
def correlate(padded: Floats, kernels: Floats, out: Floats) -> None:
    """Filter each channel (C, h + S - 1, w + S - 1) by its own (S, S) into ``out`` (C, h, w)."""
    (channels, height, width), side = out.shape, kernels.shape[-1]
    for channel in range(channels):
        for y in range(height):
            line = np.zeros(width, np.float32)
            for row in range(side):
                for place in range(side):
                    tap = kernels[channel, row, place]
                    for x in range(width):
                        line[x] += tap * padded[channel, y + row, x + place]
            out[channel, y] = line
