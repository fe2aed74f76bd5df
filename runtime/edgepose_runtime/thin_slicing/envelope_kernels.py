"""Kernels for generalised distance transforms that say which sender won, as gradients need it.

They compute ``out(p) = max_q s(q) - a (p - q)^2 - b (p - q)`` along one axis after the other by
Felzenszwalb and Huttenlocher's lower envelope, with a linear term: linear in the number of cells.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import kernel

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]


@kernel
def _envelope(scores: Floats, a: float, b: float, out: Floats, winner: Indices) -> None:
    """Transform one line (n,) by the upper envelope of the parabolas that its cells send."""
    n = len(scores)
    roots, begins = np.empty(n, np.int32), np.empty(n + 1, np.float64)
    # The parabola of q is heights(q) + p (2 a q - b) - a p^2: two of them cross once.
    heights = np.empty(n, np.float64)
    top = 0
    roots[0], begins[0] = 0, -np.inf
    heights[0] = scores[0]
    for q in range(1, n):
        heights[q] = scores[q] - (a * q - b) * q
        while True:
            last = roots[top]
            crossing = (heights[last] - heights[q]) / (2 * a * (q - last))
            if crossing > begins[top]:
                break
            top -= 1
        top += 1
        roots[top], begins[top] = q, crossing
    begins[top + 1] = np.inf
    at = 0
    for p in range(n):
        while begins[at + 1] < p:
            at += 1
        distance = p - roots[at]
        out[p] = scores[roots[at]] - (a * distance + b) * distance
        winner[p] = roots[at]


@kernel
def transform_with_winners(
    maps: Floats, springs: Floats, out: Floats, rows: Indices, columns: Indices
) -> None:
    """Transform maps and say from where each cell's value came.

    Args:
        maps: (N, h, w), finite.
        springs: (N, 4) a_x, b_x, a_y, b_y of each map, both a above 0.
        out: (N, h, w) receives the values.
        rows: (N, h, w) receives the row of the winner of each cell.
        columns: (N, h, w) receives its column.
    """
    height, width = maps.shape[1:]
    half, half_rows = np.empty((width, height), np.float32), np.empty((width, height), np.int32)
    line, winner = np.empty(width, np.float32), np.empty(width, np.int32)
    for i in range(len(maps)):
        ax, bx, ay, by = springs[i]
        for x in range(width):
            _envelope(maps[i, :, x], ay, by, half[x], half_rows[x])
        for y in range(height):
            for x in range(width):
                line[x] = half[x, y]
            _envelope(line, ax, bx, out[i, y], winner)
            for x in range(width):
                columns[i, y, x] = winner[x]
                rows[i, y, x] = half_rows[winner[x], y]
