"""Kernels that make crops of frames.

They compute in unsigned 16-bit numbers, of which registers hold most: values are 256ths of a grey
level, and weights 65535ths, which count as 65536ths. Each product is rounded down, so that one of n
weights is n / 512 grey levels too dark on average; that is made up for in the end.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.vector_kernels import COLUMN, ROWS, blend_column, part_of_byte
from edgepose_runtime.jit import kernel

Bytes = NDArray[np.uint8]
Values = NDArray[np.uint16]
# Unsigned, because numba then leaves out the code for negative indices.
Indices = NDArray[np.uint64]

#: The sum of the weights of an output pixel that lies inside.
WHOLE = 65535
#: What rounds to the nearest byte, and makes up for `WHOLE` in both directions.
HALF = 129
#: Columns of the frame that are worked on come in such numbers, so that vectors leave no rest.
STRETCH = 32
#: What rounding may add at most, so that white stays below the end of the numbers.
MOST_ADDED = 255


@kernel
def area_taps(
    first: float, scale: float, limit: int, size: int
) -> tuple[NDArray[np.int64], Values]:
    """Find what each of ``size`` output pixels averages along one axis.

    Output pixel u covers ``max(scale, 1)`` input pixels around ``first + u * scale``, and each of
    them weighs as much as is covered of it. (Up to a scale of 1 that is linear interpolation.)

    Args:
        first: input coordinate of the middle of output pixel 0.
        scale: input pixels per output pixel.
        limit: number of input pixels; what lies outside gets no weight.
        size: number of output pixels.

    Returns:
        The first input pixel (size,) and the weights (size, taps) from there on, of sum `WHOLE`
        where nothing lies outside. All of them stand for input pixels; those that are not needed
        are zero.
    """
    width = max(scale, 1.0)
    start = np.empty(size, np.int64)
    weights = np.zeros((size, math.ceil(min(width + 1, limit))), np.uint16)
    taps, unit = weights.shape[1], WHOLE / width
    for u in range(size):
        low = first + u * scale - width / 2
        begin = min(max(math.floor(low + 0.5), 0), limit - taps)
        start[u] = begin
        # Rounded are the sums, so that no error adds up.
        edge = begin - 0.5 - low
        done = math.floor(min(max(edge, 0.0), width) * unit + 0.5)
        for k in range(taps):
            reached = math.floor(min(max(edge + k + 1, 0.0), width) * unit + 0.5)
            weights[u, k] = reached - done
            done = reached
    return start, weights


@kernel
def _blend_rows(rows: Bytes, weights: Values, outside: Bytes, line: Values) -> None:
    """Set ``line`` to the weighted sum of the rows, and of ``outside`` with what they leave."""
    last = len(rows) - 1
    # Two rows at a time halve the traffic on the line.
    for k in range(0, len(rows), 2):
        first, second, w1 = rows[k], rows[min(k + 1, last)], weights[k]
        w2 = weights[k + 1] if k < last else np.uint16(0)
        if k == 0:
            for i in range(len(first)):
                line[i] = part_of_byte(first[i], w1) + part_of_byte(second[i], w2)
        elif w1 > 0 or w2 > 0:
            for i in range(len(first)):
                line[i] += part_of_byte(first[i], w1) + part_of_byte(second[i], w2)
    missing = np.uint16(WHOLE - np.int64(weights.sum()))
    if missing > 0:
        for i in range(len(outside)):
            line[i] += part_of_byte(outside[i], missing)


@kernel
def _interleave(first: Values, second: Values, third: Values, fourth: Values, out: Values) -> None:
    """Write lines into a block of their columns: all rows of a value lie side by side."""
    for i in range(len(first)):
        out[ROWS * i] = first[i]
        out[ROWS * i + 1] = second[i]
        out[ROWS * i + 2] = third[i]
        out[ROWS * i + 3] = fourth[i]


@kernel
def _blend_columns(
    block: Values, index: Indices, weights: Values, rest: Values, out: Values
) -> None:
    """Set each column of ``out`` to that of ``rest`` plus a weighted sum of the block's.

    ``index`` says from where on. ``weights`` are (size * taps,); `blend_column` says why ``block``,
    ``rest`` and ``out`` are longer than their columns.
    """
    size = np.uint64(len(index))
    taps = np.uint64(len(weights)) // size
    for u in range(size):
        blend_column(out, np.uint64(COLUMN) * u, rest, block, index[u], weights, taps * u, taps)


@kernel
def _write(block: Values, first: Bytes, second: Bytes, third: Bytes, fourth: Bytes) -> None:
    """Undo the interleaving, and leave out the fractions."""
    for i in range(len(first)):
        first[i] = block[ROWS * i] >> 8
        second[i] = block[ROWS * i + 1] >> 8
        third[i] = block[ROWS * i + 2] >> 8
        fourth[i] = block[ROWS * i + 3] >> 8


@kernel
def _rest(weights: Values, fill: tuple[int, int, int], rounding: int) -> Values:
    """Return what columns have beside their weighted sums: the colour outside, and rounding."""
    size = len(weights)
    rest = np.empty(COLUMN * size + ROWS, np.uint16)
    for u in range(size):
        missing = WHOLE - np.int64(weights[u].sum())
        for channel in range(3):
            value = ((fill[channel] << 8) * missing >> 16) + rounding
            for row in range(ROWS):
                rest[COLUMN * u + ROWS * channel + row] = value
    return rest


@kernel
def crop_area(
    frame: Bytes,
    first: tuple[float, float],
    scale: tuple[float, float],
    fill: tuple[int, int, int],
    out: Bytes,
) -> None:
    """Fill a crop with the averages of the frame's pixels, and with a colour outside the frame.

    Args:
        frame: (H, W, 3), C-contiguous.
        first: x and y in the frame of the middle of the crop's first pixel.
        scale: frame pixels per crop pixel in x and y.
        fill: the colour outside.
        out: (height, width, 3), C-contiguous, receives the crop.
    """
    height, size, width = len(out), out.shape[1], frame.shape[1]
    top, row_weights = area_taps(first[1], scale[1], frame.shape[0], height)
    left, column_weights = area_taps(first[0], scale[0], width, size)
    row_taps, taps = row_weights.shape[1], column_weights.shape[1]
    columns = min(-(-(left[-1] - left[0] + taps) // STRETCH) * STRETCH, width)
    begin = min(left[0], width - columns)

    index = (COLUMN * (left - begin)).astype(np.uint64)
    weights = column_weights.reshape(-1)
    rest = _rest(column_weights, fill, min(HALF + (row_taps + taps) // 2, MOST_ADDED))
    outside = np.empty(3 * columns, np.uint8)
    for i in range(3 * columns):
        outside[i] = fill[i % 3]

    rows = frame.reshape(len(frame), -1)[:, 3 * begin : 3 * (begin + columns)]
    crop = out.reshape(height, -1)
    lines = np.empty((ROWS, 3 * columns), np.uint16)
    block = np.empty(COLUMN * columns + ROWS, np.uint16)
    blended = np.empty(COLUMN * size + ROWS, np.uint16)
    for v in range(0, height, ROWS):
        # Where fewer are left, the last one is made again.
        second, third, fourth = (
            min(v + 1, height - 1),
            min(v + 2, height - 1),
            min(v + 3, height - 1),
        )
        for row in range(ROWS):
            u = min(v + row, height - 1)
            _blend_rows(rows[top[u] : top[u] + row_taps], row_weights[u], outside, lines[row])
        _interleave(lines[0], lines[1], lines[2], lines[3], block)
        _blend_columns(block, index, weights, rest, blended)
        _write(blended, crop[v], crop[second], crop[third], crop[fourth])
