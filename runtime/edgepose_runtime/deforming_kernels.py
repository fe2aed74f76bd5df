"""The kernel of deformable convolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import kernel

Floats = NDArray[np.float32]
# Unsigned, because numba then leaves out the code for negative indices.
Indices = NDArray[np.uint32]


@kernel
def _extent(maps: Floats) -> Floats:
    """Return the rows and columns just outside of what is not zero: top, bottom, left, right."""
    extent = np.array([maps.shape[1], -1, maps.shape[2], -1], np.float32)
    for joint in range(len(maps)):
        for y in range(maps.shape[1]):
            for x in range(maps.shape[2]):
                if maps[joint, y, x] != 0:
                    extent[0], extent[1] = min(extent[0], y - 1), max(extent[1], y + 1)
                    extent[2], extent[3] = min(extent[2], x - 1), max(extent[3], x + 1)
    return extent


@kernel
def _locate(
    dy: Floats, dx: Floats, y: int, x: int, extent: Floats, width: int, cell: Indices, part: Floats
) -> bool:
    """Find the cells to sample for one row: the upper left of four, and the way to the others.

    Cells outside of the extent are moved to its edge, where everything is zero. Says whether there
    is anything else.
    """
    top, bottom, left, right = extent[0], extent[1], extent[2], extent[3]
    inside = 0
    for i in range(len(cell)):
        row = min(max(np.float32(y) + dy[i], top), bottom)
        column = min(max(np.float32(x + i) + dx[i], left), right)
        inside += (row > top) & (row < bottom) & (column > left) & (column < right)
        above, before = np.int32(row), np.int32(column)
        part[0, i], part[1, i] = row - np.float32(above), column - np.float32(before)
        cell[i] = above * np.int32(width) + before
    return inside > 0


@kernel
def _sample(cells: Floats, width: int, cell: Indices, part: Floats, line: Floats) -> None:
    """Sample a map (n,) bilinearly."""
    following = cells[1:]
    below, diagonal = cells[width:], cells[width + 1 :]
    for i in range(len(line)):
        j, down, along = cell[i], part[0, i], part[1, i]
        upper = cells[j] + along * (following[j] - cells[j])
        lower = below[j] + along * (diagonal[j] - below[j])
        line[i] = upper + down * (lower - upper)


@kernel
def add_deformed(
    padded: Floats, offsets: Floats, weight: Floats, dilation: int, out: Floats
) -> None:
    """Add the deformable convolution of maps to ``out`` (O, h, w).

    Args:
        padded: (K, h + 3, w + 3), the maps with a row and a column of zeros before and two after.
        offsets: (G * taps * 2, h, w).
        weight: (O, K, kernel height, kernel width).
        dilation: distance of neighbouring taps.
        out: receives the sums.
    """
    rows, columns = weight.shape[2:]
    taps, width = rows * columns, padded.shape[2]
    groups = len(offsets) // (2 * taps)
    share = len(padded) // groups
    cell, part = np.empty(out.shape[2], np.uint32), np.empty((2, out.shape[2]), np.float32)
    line = np.empty(out.shape[2], np.float32)
    for group in range(groups):
        extent = _extent(padded[group * share : (group + 1) * share])
        if extent[1] < 0:
            continue
        for tap in range(taps):
            dy, dx = offsets[2 * (group * taps + tap)], offsets[2 * (group * taps + tap) + 1]
            row, column = tap // columns, tap % columns
            # One more for the border.
            y0, x0 = 1 + dilation * (row - rows // 2), 1 + dilation * (column - columns // 2)
            for y in range(out.shape[1]):
                if not _locate(dy[y], dx[y], y0 + y, x0, extent, width, cell, part):
                    continue
                for joint in range(group * share, (group + 1) * share):
                    _sample(padded[joint].reshape(-1), width, cell, part, line)
                    for target in range(len(out)):
                        factor = weight[target, joint, row, column]
                        total = out[target, y]
                        for i in range(len(line)):
                            total[i] += factor * line[i]
