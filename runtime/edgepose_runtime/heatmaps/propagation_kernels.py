"""Kernels that propagate heat-maps by the optical flow of their joints."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.heatmaps.kernels import add_expected_peaks, refine_peaks
from edgepose_runtime.jit import fused_kernel, kernel
from edgepose_runtime.poses.flow_kernels import propagate_joints

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@kernel
def _locate(maps: Floats, out: Floats) -> None:
    """Write sub-cell x, y and score of each map's peak into ``out`` (K, 3)."""
    peaks = np.empty(len(maps), np.int64)
    width = maps.shape[2]
    # Numbers above 0 are in the order of their bits, and those as integers are compared as vectors.
    # No other number is a peak.
    bits = maps.view(np.int32)
    for joint in range(len(maps)):
        highest, at = np.int32(0), 0
        for v in range(maps.shape[1]):
            line, top = bits[joint, v], np.int32(0)
            for u in range(width):
                top = max(top, line[u])
            if top > highest:
                highest, at = top, v
        line, column = bits[joint, at], 0
        while column < width - 1 and line[column] != highest:
            column += 1
        peaks[joint] = at * width + column
    refine_peaks(maps, peaks, False, out)


@fused_kernel
def propagate_heatmaps(
    before: Bytes,
    before_half: Bytes,
    before_quarter: Bytes,
    after: Bytes,
    after_half: Bytes,
    after_quarter: Bytes,
    preliminary: Floats,
    known: Doubles,
    neighbours: Doubles,
    cell: tuple[float, float],
    trust: tuple[float, float],
    weights: tuple[float, float, float, float, float, float, float],
    out: Floats,
    found: Doubles,
) -> None:
    """Do what `HeatmapFlow.propagate_numpy` of `edgepose_runtime.heatmaps.propagation` does.

    Args:
        before: the last frame's view.
        before_half: the next level of it.
        before_quarter: the last level.
        after: this frame's view.
        after_half: the next level of it.
        after_quarter: the last level.
        preliminary: (K, h, w), of the network for this frame.
        known: (K, 6) of the last frame: x, y in cells, score, deviation, offset in x and y.
        neighbours: (K, K), 1 for joints that are neighbours on the body.
        cell: pixels of a view for each cell, and those of the first cell's centre.
        trust: see `propagate_joints`: the doubt that is half trusted, and that of the lost.
        weights: share, drift, per_doubt, largest_deviation, memory, adaptation, largest_offset of
            `edgepose_runtime.heatmaps.propagation.FlowSettings`.
        out: (K, h, w) receives the heat-maps.
        found: (K, 6) receives what is known of this frame.
    """
    share, drift, per_doubt, largest_deviation, memory, adaptation, largest_offset = weights
    count, (scale, first) = len(known), cell
    places, there, doubt = np.empty((count, 2)), np.empty((count, 2)), np.empty(count)
    for k in range(count):
        places[k, 0], places[k, 1] = known[k, 0] * scale + first, known[k, 1] * scale + first
    old, new = (before, before_half, before_quarter), (after, after_half, after_quarter)
    propagate_joints(old, new, places, neighbours, trust[0], trust[1], there, doubt)
    peaks, shifts = np.empty((count, 4)), np.empty((count, 2))
    for k in range(count):
        followed = not math.isnan(doubt[k])
        growth = drift + (per_doubt * doubt[k] / scale if followed else 0.0)
        found[k, 2] = known[k, 2]
        found[k, 3] = min(math.sqrt(known[k, 3] ** 2 + growth**2), largest_deviation)
        peaks[k] = 0.0
        peaks[k, 2] = found[k, 3]
        if followed:
            peaks[k, 0], peaks[k, 1] = (there[k, 0] - first) / scale, (there[k, 1] - first) / scale
            peaks[k, 3] = known[k, 2]
        shifts[k, 0], shifts[k, 1] = memory * known[k, 4], memory * known[k, 5]
    add_expected_peaks(preliminary, peaks, shifts, share, out)
    joints, own = np.empty((count, 3), np.float32), np.empty((count, 3), np.float32)
    _locate(out, joints)
    _locate(preliminary, own)
    for k in range(count):
        found[k, 0], found[k, 1] = joints[k, 0], joints[k, 1]
        found[k, 4], found[k, 5] = shifts[k, 0], shifts[k, 1]
        apart_x = np.float64(joints[k, 0]) - np.float64(own[k, 0])
        apart_y = np.float64(joints[k, 1]) - np.float64(own[k, 1])
        if math.sqrt(apart_x * apart_x + apart_y * apart_y) <= largest_offset:
            found[k, 4] += adaptation * (apart_x - shifts[k, 0])
            found[k, 5] += adaptation * (apart_y - shifts[k, 1])
