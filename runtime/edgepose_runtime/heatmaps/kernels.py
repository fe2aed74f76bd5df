"""Kernels that read and move heat-maps."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import fused_kernel, kernel

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
# Unsigned, because numba then leaves out the code for negative indices.
Indices = NDArray[np.uint32]

#: A neighbour of a peak counts as at least this part of it: a cell at or below zero says little
#: about the peak, and its logarithm would throw the fit far off.
LOWEST_NEIGHBOUR = 0.01
#: The product of two curvatures, in logarithms per squared cell, above which a peak is not flat.
FLATTEST = 1e-6


@kernel
def _parabola_offset(patch: Floats) -> tuple[float, float]:
    """Return (x, y) from the middle of a 3x3 patch to the top of a Gaussian through it."""
    # A Gaussian's logarithm is a parabola: one Newton step finds its top. The floor keeps a cell
    # at or below zero, which says little about the peak, from throwing the step far off.
    logs = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            logs[i, j] = math.log(max(patch[i, j], LOWEST_NEIGHBOUR * patch[1, 1]))
    dx = (logs[1, 2] - logs[1, 0]) / 2
    dy = (logs[2, 1] - logs[0, 1]) / 2
    dxx = logs[1, 2] - 2 * logs[1, 1] + logs[1, 0]
    dyy = logs[2, 1] - 2 * logs[1, 1] + logs[0, 1]
    dxy = (logs[2, 2] - logs[2, 0] - logs[0, 2] + logs[0, 0]) / 4
    curvature = dxx * dyy - dxy * dxy
    if not (dxx < 0 and curvature > FLATTEST):
        return 0.0, 0.0
    x, y = (dxy * dy - dyy * dx) / curvature, (dxy * dx - dxx * dy) / curvature
    return (x, y) if max(abs(x), abs(y)) < 1 else (0.0, 0.0)


@kernel
def refine_peaks(heatmaps: Floats, peaks: NDArray[np.int64], quarter: bool, out: Floats) -> None:
    """Write sub-cell x, y and score of each map's peak into ``out`` (K, 3).

    Args:
        heatmaps: (K, h, w).
        peaks: (K,) flat index of each map's highest cell.
        quarter: shift by a quarter cell to the higher neighbour instead of fitting a parabola.
        out: (K, 3) receives the joints.
    """
    height, width = heatmaps.shape[1:]
    border = 2 if quarter else 1
    for joint in range(len(heatmaps)):
        y, x = divmod(peaks[joint], width)
        value = heatmaps[joint, y, x]
        if not value > 0:  # so that NaN is a missing joint as well
            out[joint, 0], out[joint, 1], out[joint, 2] = np.nan, np.nan, 0
            continue
        shift_x, shift_y = 0.0, 0.0
        if border <= x < width - 1 and border <= y < height - 1:
            patch = heatmaps[joint, y - 1 : y + 2, x - 1 : x + 2]
            if quarter:
                shift_x = 0.25 * np.sign(patch[1, 2] - patch[1, 0])
                shift_y = 0.25 * np.sign(patch[2, 1] - patch[0, 1])
            else:
                shift_x, shift_y = _parabola_offset(patch)
        out[joint, 0], out[joint, 1], out[joint, 2] = x + shift_x, y + shift_y, min(value, 1.0)


@kernel
def _linear_taps(
    first: float, scale: float, length: int
) -> tuple[Indices, Indices, Floats, Floats]:
    """Return the two cells that each of ``length`` points lies between, and their weights.

    Cells outside the map have no weight.
    """
    low, high = np.empty(length, np.uint32), np.empty(length, np.uint32)
    near, far = np.empty(length, np.float32), np.empty(length, np.float32)
    for i in range(length):
        position = min(max(first + scale * i, -1.0), float(length))
        begin = math.floor(position)
        low[i], high[i] = min(max(begin, 0), length - 1), min(begin + 1, length - 1)
        near[i] = 1 - (position - begin) if 0 <= begin < length else 0
        far[i] = position - begin if begin < length - 1 else 0
    return low, high, near, far


@kernel
def _bands(first: float, scale: float, length: int) -> tuple[int, Floats]:
    """Return how far from its own place each point's cells lie, and the weights at each distance.

    A region moves little from frame to frame, so that few distances occur, and neighbours have
    the same: what would be single values from anywhere becomes vectors.

    Returns:
        The lowest distance in cells, and the weights (bands, length) at it and those that follow;
        an even number of bands.
    """
    low, high, near, far = _linear_taps(first, scale, length)
    lowest, highest = length, -length
    for i in range(length):
        if near[i] > 0:
            lowest, highest = min(lowest, low[i] - i), max(highest, low[i] - i)
        if far[i] > 0:
            lowest, highest = min(lowest, high[i] - i), max(highest, high[i] - i)
    if lowest > highest:  # nothing lies inside
        lowest = highest = 0
    bands = np.zeros(((highest - lowest + 2) // 2 * 2, length), np.float32)
    for i in range(length):
        if near[i] > 0:
            bands[low[i] - i - lowest, i] = near[i]
        if far[i] > 0:
            bands[high[i] - i - lowest, i] = far[i]
    return lowest, bands


@fused_kernel
def _blend_bands(sheet: Floats, begin: int, bands: Floats, out: Floats) -> None:
    """Set ``out`` to the sum of the bands times as much of ``sheet``, from ``begin`` on."""
    for k in range(0, len(bands), 2):
        first, second = sheet[begin + k :], sheet[begin + k + 1 :]
        w1, w2 = bands[k], bands[k + 1]
        if k == 0:
            for i in range(len(out)):
                out[i] = w1[i] * first[i] + w2[i] * second[i]
        else:
            for i in range(len(out)):
                out[i] += w1[i] * first[i] + w2[i] * second[i]


@kernel
def scale_points(points: Floats, x: tuple[float, float], y: tuple[float, float]) -> None:
    """Map x and y of points (K, 3) in place; each axis by a factor and a shift, in float64."""
    for k in range(len(points)):
        points[k, 0] = points[k, 0] * x[0] + x[1]
        points[k, 1] = points[k, 1] * y[0] + y[1]


@kernel
def locate_peaks(
    heatmaps: Floats,
    peaks: NDArray[np.int64],
    quarter: bool,
    x: tuple[float, float],
    y: tuple[float, float],
    out: Floats,
) -> None:
    """Write each map's peak into ``out`` (K, 3): `refine_peaks`, and then `scale_points`."""
    refine_peaks(heatmaps, peaks, quarter, out)
    scale_points(out, x, y)


@fused_kernel
def resample_bilinear(
    maps: Floats, first: tuple[float, float], scale: tuple[float, float], out: Floats
) -> None:
    """Sample maps (K, h, w) on a grid of the same size, with zeros around them, into ``out``.

    Cell (u, v) of the result lies at ``first + scale * (u, v)`` of the maps.
    """
    height, width = maps.shape[1:]
    above, below, upper, lower = _linear_taps(first[1], scale[1], height)
    lowest, row = _bands(first[0], scale[0], width)
    bands = np.empty((len(row), height * width), np.float32)
    for k in range(len(row)):
        for v in range(height):
            for i in range(width):
                bands[k, v * width + i] = row[k, i]
    # Bands reach over the ends, and from row to row where they weigh nothing.
    sheet = np.zeros((height + 2) * width + 1, np.float32)
    for joint in range(len(maps)):
        for v in range(height):
            top, bottom = maps[joint, above[v]], maps[joint, below[v]]
            line = sheet[(v + 1) * width : (v + 2) * width]
            for i in range(len(line)):
                line[i] = upper[v] * top[i] + lower[v] * bottom[i]
        _blend_bands(sheet, width + lowest, bands, out[joint].reshape(-1))


@kernel
def _whole_and_part(position: float, length: int) -> tuple[int, float]:
    """Return the cell before a position, at most ``length`` from 0, and the rest."""
    position = min(max(position, -float(length)), float(length - 1))
    whole = math.floor(position)
    return int(whole), position - whole


@fused_kernel
def add_expected_peaks(
    maps: Floats, peaks: Doubles, shifts: Doubles, share: float, out: Floats
) -> None:
    """Write maps, shifted, and a Gaussian for each, into ``out``.

    Args:
        maps: (K, h, w).
        peaks: (K, 4): x and y of the Gaussian's top and its standard deviation, in cells, and its
            height.
        shifts: (K, 2): how far each map is shifted along x and y, in cells, with zeros around it.
        share: of the Gaussian in the mean, from 0 to 1.
        out: (K, h, w).
    """
    height, width = maps.shape[1:]
    across = np.empty(width, np.float32)
    sheet = np.zeros(3 * width + 1, np.float32)  # a row between zeros
    row = sheet[width : 2 * width]
    for joint in range(len(maps)):
        x, y, deviation, top = peaks[joint]
        narrow = -0.5 / (deviation * deviation)
        for u in range(width):
            across[u] = math.exp(narrow * (u - x) * (u - x))
        left, part = _whole_and_part(-shifts[joint, 0], width)
        above, below_part = _whole_and_part(-shifts[joint, 1], height)
        near, far = np.float32(1 - part), np.float32(part)
        moved = sheet[width + left :]
        for v in range(height):
            gauss = np.float32(share * top * math.exp(narrow * (v - y) * (v - y)))
            upper = (1 - share) * (1 - below_part) if 0 <= v + above < height else 0.0
            lower = (1 - share) * below_part if 0 <= v + above + 1 < height else 0.0
            w1, w2 = np.float32(upper), np.float32(lower)
            first = maps[joint, min(max(v + above, 0), height - 1)]
            second = maps[joint, min(max(v + above + 1, 0), height - 1)]
            for u in range(width):
                row[u] = w1 * first[u] + w2 * second[u]
            line = out[joint, v]
            after = moved[1:]
            for u in range(width):
                line[u] = near * moved[u] + far * after[u] + gauss * across[u]
