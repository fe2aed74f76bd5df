"""Kernels that make crops of frames."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.kernels.compiling import kernel
from edgepose_runtime.kernels.vectors import blend_pixel

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
# Unsigned, because numba then leaves out the code for negative indices.
Indices = NDArray[np.uint64]


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
        The first input pixel (size,) and the weights (size, taps) from there on. Those that are
        not needed, or lie past the last input pixel, are zero.
    """
    width = max(scale, 1.0)
    start = np.empty(size, np.int64)
    weights = np.zeros((size, math.ceil(min(width + 1, limit))), np.float32)
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
    missing = np.float32(1)
    for k in range(len(weights)):
        missing -= weights[k]
    for i in range(len(rows[0])):
        line[i] = missing * outside[i]
    # Two rows at a time halve the traffic on the line.
    for k in range(0, len(rows), 2):
        other = min(k + 1, len(rows) - 1)
        first, second, w1 = rows[k], rows[other], weights[k]
        w2 = weights[other] if other > k else np.float32(0)
        for i in range(len(first)):
            line[i] += w1 * first[i] + w2 * second[i]


@kernel
def _blend_columns(
    line: Floats, index: Indices, weights: Floats, rest: Floats, out: Floats
) -> None:
    """Set each pixel of ``out`` to that of ``rest`` plus a weighted sum of the line's.

    ``index`` says from where on. ``weights`` are (size * taps,); `blend_pixel` says why ``line``,
    ``rest`` and ``out`` are one value longer than their pixels.
    """
    size = np.uint64(len(index))
    taps = np.uint64(len(weights)) // size
    for u in range(size):
        at = np.uint64(3) * u
        # numba itself passes the first parameter of the definition.
        blend_pixel(out, at, rest, line, index[u], weights, taps * u, taps)  # type: ignore[call-arg]


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

    index = (3 * (left - begin)).astype(np.uint64)
    weights = column_weights.reshape(-1)
    rest = np.empty(3 * size + 1, np.float32)
    for i in range(3 * size):
        inside = column_weights[i // 3].sum()
        rest[i] = fill[i % 3] * (1 - inside) + np.float32(0.5)
    outside = np.empty(3 * columns, np.float32)
    for i in range(3 * columns):
        outside[i] = fill[i % 3]

    rows = frame.reshape(frame.shape[0], -1)[:, 3 * begin : 3 * (begin + columns)]
    crop = out.reshape(size, -1)
    blended = np.zeros(3 * columns + 1, np.float32)
    line = np.empty(3 * size + 1, np.float32)
    for v in range(size):
        _blend_rows(rows[top[v] : top[v] + row_weights.shape[1]], row_weights[v], outside, blended)
        _blend_columns(blended, index, weights, rest, line)
        for i in range(3 * size):
            crop[v, i] = np.uint8(np.int32(line[i]))
