"""Kernels that make crops of frames."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.kernels.compiling import kernel

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
# Unsigned, because numba then leaves out the code for negative indices.
Indices = NDArray[np.uint32]


@kernel
def area_taps(
    first: float, scale: float, limit: int, size: int
) -> tuple[NDArray[np.int64], Floats]:
    """Find what each of ``size`` output pixels averages along one axis.

    Output pixel u covers ``max(scale, 1)`` input pixels around ``first + u * scale``, and each of
    them weighs as much as is covered of it. (Up to a scale of 1 that is linear interpolation.)

    Args:
        first: input coordinate of the middle of output pixel 0.
        scale: input pixels per output pixel.
        limit: number of input pixels; what lies outside gets no weight.
        size: number of output pixels.

    Returns:
        The first input pixel (size,) and the weights (size, taps) from there on. The number of
        taps is even; those that are not needed, or lie past the last input pixel, are zero.
    """
    width = max(scale, 1.0)
    start = np.empty(size, np.int64)
    weights = np.zeros((size, 2 * math.ceil(min(width + 1, limit) / 2)), np.float32)
    for u in range(size):
        low, high = first + u * scale - width / 2, first + u * scale + width / 2
        begin = min(max(math.floor(low + 0.5), 0), limit - 1)
        start[u] = begin
        for k in range(min(weights.shape[1], limit - begin)):
            covered = min(high, begin + k + 0.5) - max(low, begin + k - 0.5)
            weights[u, k] = max(covered, 0.0) / width
    return start, weights


@kernel
def _blend_rows(rows: Bytes, weights: Floats, outside: Floats, line: Floats) -> None:
    """Set ``line`` to the weighted sum of the rows, and of ``outside`` with what they leave."""
    # Two rows at a time halve the traffic on the line.
    first, second = rows[0], rows[min(1, len(rows) - 1)]
    w1, w2, missing = weights[0], weights[1], np.float32(1)
    for k in range(len(weights)):
        missing -= weights[k]
    for i in range(len(first)):
        line[i] = missing * outside[i] + w1 * first[i] + w2 * second[i]
    for k in range(2, len(rows), 2):
        first, second = rows[k], rows[min(k + 1, len(rows) - 1)]
        w1, w2 = weights[k], weights[k + 1]
        for i in range(len(first)):
            line[i] += w1 * first[i] + w2 * second[i]


@kernel
def _blend_columns(
    line: Floats, index: Indices, weights: Floats, rest: Floats, out: Floats
) -> None:
    """Set ``out[i]`` to ``rest[i]`` plus the weighted sum of each third value from ``index[i]``."""
    for i in range(len(out)):
        j = index[i]
        out[i] = rest[i] + weights[0, i] * line[j] + weights[1, i] * line[j + 3]
    for k in range(2, len(weights), 2):
        shifted = line[3 * k :]
        for i in range(len(out)):
            j = index[i]
            out[i] += weights[k, i] * shifted[j] + weights[k + 1, i] * shifted[j + 3]


@kernel
def crop_area(
    frame: Bytes, first: tuple[float, float], scale: tuple[float, float], fill: Floats, out: Bytes
) -> None:
    """Fill a crop with the averages of the frame's pixels, and with a colour outside the frame.

    Args:
        frame: (H, W, 3), C-contiguous.
        first: x and y in the frame of the middle of the crop's first pixel.
        scale: frame pixels per crop pixel in x and y.
        fill: (3,) the colour outside.
        out: (size, size, 3), C-contiguous, receives the crop.
    """
    size = len(out)
    top, row_weights = area_taps(first[1], scale[1], frame.shape[0], size)
    left, column_weights = area_taps(first[0], scale[0], frame.shape[1], size)
    taps, begin = column_weights.shape[1], left[0]
    columns = left[-1] - begin + taps

    # Spread over the channels, so that the loops run along memory and become vector code.
    index = np.empty(3 * size, np.uint32)
    weights = np.empty((taps, 3 * size), np.float32)
    rest = np.empty(3 * size, np.float32)
    for i in range(3 * size):
        index[i] = 3 * (left[i // 3] - begin) + i % 3
        inside = np.float32(0)
        for k in range(taps):
            weights[k, i] = column_weights[i // 3, k]
            inside += weights[k, i]
        rest[i] = fill[i % 3] * (1 - inside) + np.float32(0.5)
    outside = np.empty(3 * columns, np.float32)
    for i in range(3 * columns):
        outside[i] = fill[i % 3]

    rows = frame.reshape(frame.shape[0], -1)[:, 3 * begin : 3 * (begin + columns)]
    crop = out.reshape(size, -1)
    blended = np.zeros(3 * columns, np.float32)
    line = np.empty(3 * size, np.float32)
    for v in range(size):
        _blend_rows(rows[top[v] : top[v] + row_weights.shape[1]], row_weights[v], outside, blended)
        _blend_columns(blended, index, weights, rest, line)
        for i in range(3 * size):
            crop[v, i] = np.uint8(np.int32(line[i]))
