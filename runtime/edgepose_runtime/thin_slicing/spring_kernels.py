"""Kernels for generalised distance transforms: the best sender for every receiver, less a spring.

Both compute ``out(p) = max_q s(q) - a (p - q)^2 - b (p - q)`` along one axis after the other
(Felzenszwalb and Huttenlocher's transform with a linear term). One is linear in the
number of cells and knows which q won, which gradients need. The other tries every distance at
which a win is possible and keeps no record; over rows of 64 cells its loops become vector code, and
it is several times as fast.
"""

from __future__ import annotations

import math

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


@kernel
def _spread(scores: Floats) -> float:
    """Return the difference between the highest and the lowest cell of a map (h, w)."""
    low, high = scores[0].copy(), scores[0].copy()
    for y in range(1, len(scores)):  # cell by cell, so that it becomes vector code
        for x in range(len(low)):
            low[x] = min(low[x], scores[y, x])
            high[x] = max(high[x], scores[y, x])
    return float(high.max()) - float(low.min())


@kernel
def _senders(p: int, n: int, rest: float, slack: float) -> tuple[int, int]:
    """Return the range of distances p - q at which one of n senders q may be the best one.

    Of the reachable distances the one nearest to ``rest`` costs least. One that costs more than
    that by the spread of the scores (``slack`` times a) can never win.
    """
    nearest = min(max(rest, p - n + 1), p)
    bound = math.sqrt(slack + max(abs(nearest - rest), 0.5) ** 2) + 1e-3
    return max(p - n + 1, math.ceil(rest - bound)), min(p, math.floor(rest + bound)) + 1


@kernel
def _transform_rows(scores: Floats, a: float, b: float, out: Floats) -> None:
    """Send the rows of (n, m) along a spring; ``out`` (m, n) receives the result transposed."""
    n, m = scores.shape
    rest, slack = -b / (2 * a), max(_spread(scores), 0.0) / a
    costs = np.empty(2 * n - 1, np.float32)
    for d in range(1 - n, n):
        costs[d + n - 1] = (a * d + b) * d
    line = np.empty(m, np.float32)
    for p in range(n):
        first, last = _senders(p, n, rest, slack)
        line[:] = -np.inf
        for d in range(first, last - 1, 2):  # two at a time halve the traffic on the line
            near, far = scores[p - d], scores[p - d - 1]
            cost, more = costs[d + n - 1], costs[d + n]
            for x in range(m):
                line[x] = max(line[x], max(near[x] - cost, far[x] - more))
        if (last - first) % 2:
            near, cost = scores[p - last + 1], costs[last + n - 2]
            for x in range(m):
                line[x] = max(line[x], near[x] - cost)
        for x in range(m):
            out[x, p] = line[x]


@kernel
def transform(scores: Floats, spring: Floats, half: Floats, out: Floats) -> None:
    """Transform one map (h, w) with a spring (4,); ``half`` (w, h) is scratch memory."""
    _transform_rows(scores, spring[2], spring[3], half)
    _transform_rows(half, spring[0], spring[1], out)


@kernel
def transform_all(maps: Floats, springs: Floats, out: Floats) -> None:
    """Transform maps (N, h, w) with springs (N, 4) into ``out`` (N, h, w)."""
    half = np.empty((maps.shape[2], maps.shape[1]), np.float32)
    for i in range(len(maps)):
        transform(maps[i], springs[i], half, out[i])
