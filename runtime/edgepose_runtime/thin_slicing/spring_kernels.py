"""Kernels for generalised distance transforms: the best sender for every receiver, less a spring.

They compute ``out(p) = max_q s(q) - a (p - q)^2 - b (p - q)`` along one axis after the other, try
every distance at which a win is possible, and keep no record of who won. Their loops over bands of
rows become vector code: on maps of 64x64 cells they are several times as fast as
`edgepose_runtime.thin_slicing.envelope_kernels`, which are linear in the number of cells.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import kernel

Floats = NDArray[np.float32]

#: Rows that try the same distances.
_BAND = 16
#: Scores that the widest vector instructions take at a time.
_VECTOR = 16


@kernel
def limits(values: Floats, rows: int, width: int, scratch: Floats) -> tuple[float, float]:
    """Return the lowest and the highest of the first ``width`` values of each row.

    Args:
        values: ``rows`` rows of one length, one after the other.
        rows: how many there are.
        width: values of a row that count.
        scratch: as many values.
    """
    stride, half = len(values) // rows, (rows + 1) // 2
    low, high = scratch[: half * stride], scratch[half * stride : 2 * half * stride]
    others = values[half * stride :]
    for i in range(len(others)):
        low[i], high[i] = min(values[i], others[i]), max(values[i], others[i])
    for i in range(len(others), half * stride):  # the row in the middle of an odd number
        low[i] = high[i] = values[i]
    while half > 1:  # long loops, value by value, become vector code
        rows, half = half, (half + 1) // 2
        middle, end = half * stride, rows * stride
        _fold(low, high, low[middle:end], high[middle:end])
    while width > _VECTOR and width % 2 == 0:
        width //= 2
        _fold(low, high, low[width : 2 * width], high[width : 2 * width])
    lowest, highest = low[0], high[0]
    for x in range(width):
        lowest, highest = min(lowest, low[x]), max(highest, high[x])
    return lowest, highest


@kernel
def _fold(low: Floats, high: Floats, lower: Floats, higher: Floats) -> None:
    """Let further values lower and raise limits, value by value."""
    for i in range(len(lower)):
        low[i] = min(low[i], lower[i])
        high[i] = max(high[i], higher[i])


@kernel
def _limits_of_bands(
    values: Floats, width: int, stride: int, out: Floats, scratch: Floats
) -> tuple[float, float]:
    """Write the lowest and highest values (2, bands) of all bands, and return those of all.

    ``values`` are rows ``stride`` apart, of which the first ``width`` values count.
    """
    height = len(values) // stride
    for j in range(out.shape[1]):
        top, end = j * _BAND, min((j + 1) * _BAND, height)
        band = values[top * stride : end * stride]
        out[0, j], out[1, j] = limits(band, end - top, width, scratch)
    return out[0].min(), out[1].max()


@kernel
def _distances(n: int, rest: float, slack: float) -> tuple[int, int]:
    """Return the first and the last distance p - q at which one of n senders q may be the best.

    Of the distances that a receiver p can reach, the one nearest to ``rest`` costs least. One that
    costs more than that by the spread of the scores (``slack`` times a) can never win. Near the
    border ``rest`` may be out of reach, so that the nearest one is 0.
    """
    inside = math.sqrt(slack + 0.25) + 1e-3
    border = math.sqrt(slack + max(abs(rest), 0.5) ** 2) + 1e-3
    first = math.ceil(rest - (border if rest > 0 else inside))
    last = math.floor(rest + (border if rest < 0 else inside))
    return min(max(first, 1 - n), n - 1), max(min(last, n - 1), 1 - n)


@kernel
def _sweep(
    scores: Floats, at: tuple[int, int], span: tuple[int, int], a: float, b: float, out: Floats
) -> None:
    """Write the best of the senders at all distances of a span, first to last, for each receiver.

    Args:
        scores: one row after the other, with -inf in between as far as the span reaches.
        at: where the receivers' own scores begin, and how far apart neighbours are.
        span: of distances.
        a: costs a unit of distance squared.
        b: costs a unit of distance.
        out: of all receivers, one row after the other.
    """
    (start, step), (first, last), n = at, span, len(out)
    nearest, cost = scores[start - first * step :], np.float32((a * first + b) * first)
    for i in range(n):
        out[i] = nearest[i] - cost
    d = first + 1
    while d + 3 <= last:  # four at a time: less traffic on ``out``
        at_d = start - d * step
        s0, s1 = scores[at_d:], scores[at_d - step :]
        s2, s3 = scores[at_d - 2 * step :], scores[at_d - 3 * step :]
        c0, c1 = np.float32((a * d + b) * d), np.float32((a * (d + 1) + b) * (d + 1))
        c2, c3 = np.float32((a * (d + 2) + b) * (d + 2)), np.float32((a * (d + 3) + b) * (d + 3))
        for i in range(n):
            best = max(max(s0[i] - c0, s1[i] - c1), max(s2[i] - c2, s3[i] - c3))
            out[i] = max(out[i], best)
        d += 4
    while d <= last:
        sent, cost = scores[start - d * step :], np.float32((a * d + b) * d)
        for i in range(n):
            out[i] = max(out[i], sent[i] - cost)
        d += 1


@kernel
def _pad(scores: Floats, gap: int, stride: int, out: Floats) -> None:
    """Copy a map (h, w) with rows ``stride`` apart, and at least ``gap`` of -inf around each."""
    height, width = scores.shape
    out[:gap] = -np.inf
    for y in range(height):
        row = out[gap + y * stride :]
        for x in range(width):
            row[x] = scores[y, x]
        row[width:stride] = -np.inf
    out[gap + height * stride : 2 * gap + height * stride] = -np.inf


@kernel
def _across(
    scores: Floats,
    a: float,
    b: float,
    sizes: tuple[int, int],
    slacks: Floats,
    rows: Floats,
    scratch: Floats,
) -> None:
    """Send each row of a map (h, w) along a spring into ``rows``.

    Each band of rows tries the distances that its own scores allow: most of them are nearly flat.

    Args:
        scores: the map.
        a: costs a cell squared.
        b: costs a cell.
        sizes: how far apart sender and receiver may be, and the stride of ``rows``.
        slacks: for each band by how much its scores differ, in units of a.
        rows: receives one row after the other.
        scratch: memory for the map with gaps.
    """
    (height, width), (gap, stride) = scores.shape, sizes
    _pad(scores, gap, stride, scratch)
    for j in range(len(slacks)):
        top, end = j * _BAND, min((j + 1) * _BAND, height)
        span = _distances(width, -b / (2 * a), slacks[j])
        _sweep(scratch, (gap + top * stride, 1), span, a, b, rows[top * stride : end * stride])


@kernel
def _down(
    rows: Floats, sizes: tuple[int, int], a: float, b: float, slacks: Floats, out: Floats
) -> None:
    """Send the columns of ``rows`` along a spring into ``out``; both have the same stride.

    Each band of receivers tries the distances at which a band of senders may win.

    Args:
        rows: one row after the other, with room for as many before and after them.
        sizes: how many there are, and their stride.
        a: costs a cell squared.
        b: costs a cell.
        slacks: for each band of senders by how much it exceeds the lowest score, in units of a.
        out: receives the rows.
    """
    height, stride = sizes
    rest, begin = -b / (2 * a), height * stride
    first, last = _distances(height, rest, slacks.max())
    reach = max(-first, last, 0) * stride
    rows[begin - reach : begin] = -np.inf
    rows[2 * begin : 2 * begin + reach] = -np.inf
    for top in range(0, height, _BAND):
        end = min(top + _BAND, height)
        span = _span_of_band(top, end, height, rest, slacks)
        band = out[top * stride : end * stride]
        _sweep(rows, (begin + top * stride, stride), span, a, b, band)


@kernel
def _span_of_band(top: int, end: int, height: int, rest: float, slacks: Floats) -> tuple[int, int]:
    """Return the distances at which receivers in the rows top to end may be won by a sender.

    Args:
        top: first row.
        end: row after the last one.
        height: rows that there are.
        rest: distance that costs least.
        slacks: for each band of senders by how much it may exceed a receiver, in units of a.
    """
    first, last = height, -height
    for j in range(len(slacks)):
        low, high = _distances(height, rest, slacks[j])
        low = max(low, top - min((j + 1) * _BAND, height) + 1)
        high = min(high, end - 1 - j * _BAND)
        if low <= high:
            first, last = min(first, low), max(last, high)
    return first, last


@kernel
def scratch_for(height: int, width: int) -> Floats:
    """Return scratch memory (2, n) for `transform` of maps (h, w)."""
    return np.empty((2, 3 * (height + 2) * _stride(width, width)), np.float32)


@kernel
def _stride(width: int, gap: int) -> int:
    """Return how far apart rows with gaps in between lie: a multiple of a vector's length."""
    return (width + gap + _VECTOR - 1) // _VECTOR * _VECTOR


@kernel
def transform(scores: Floats, spring: Floats, scratch: Floats, out: Floats) -> None:
    """Transform one map (h, w) of finite scores with a spring (4,).

    ``scratch`` is memory of `scratch_for` maps of this size; ``out`` (h, w) receives the result.
    """
    (height, width), (ax, bx, ay, by) = scores.shape, spring
    bands = np.empty((2, (height + _BAND - 1) // _BAND), np.float32)
    low, high = _limits_of_bands(scores.ravel(), width, width, bands, scratch[0])
    first, last = _distances(width, -bx / (2 * ax), (high - low) / ax)
    gap = max(-first, last, 0)
    stride = _stride(width, gap)
    cells = height * stride
    rows, found = scratch[1, cells : 2 * cells], scratch[0, :cells]
    _across(scores, ax, bx, (gap, stride), (bands[1] - bands[0]) / ax, rows, scratch[0])
    low, _ = _limits_of_bands(rows, width, stride, bands, scratch[0])
    _down(scratch[1], (height, stride), ay, by, (bands[1] - low) / ay, found)
    for y in range(height):
        row = found[y * stride :]
        for x in range(width):
            out[y, x] = row[x]


@kernel
def transform_all(maps: Floats, springs: Floats, out: Floats) -> None:
    """Transform maps (N, h, w) with springs (N, 4) into ``out`` (N, h, w)."""
    scratch = scratch_for(maps.shape[1], maps.shape[2])
    for i in range(len(maps)):
        transform(maps[i], springs[i], scratch, out[i])
