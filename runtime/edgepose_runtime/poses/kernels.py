"""Kernels for the few numbers of a pose: NumPy takes most of its time to get to them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import kernel
from edgepose_runtime.poses.joints import SHORTEST_STEP_MS

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@kernel
def _is_trusted(joint: Floats, min_score: float) -> bool:
    return math.isfinite(joint[0]) and math.isfinite(joint[1]) and joint[2] >= np.float32(min_score)


@kernel
def survey_joints(keypoints: Floats, min_score: float) -> tuple[int, float]:
    """Return how many joints (K, 3) are trusted, and how far apart they are in x or y."""
    count, lowest, highest = 0, np.full(2, np.inf), np.full(2, -np.inf)
    for joint in keypoints:
        if _is_trusted(joint, min_score):
            count += 1
            for axis in range(2):
                lowest[axis] = min(lowest[axis], joint[axis])
                highest[axis] = max(highest[axis], joint[axis])
    return count, (highest - lowest).max() if count else 0.0


@kernel
def middle_joint(keypoints: Floats, min_score: float) -> tuple[float, float]:
    """Return the median x and y of the trusted joints (K, 3), of which there is one at least."""
    chosen = np.empty((2, len(keypoints)))
    count = 0
    for joint in keypoints:
        if _is_trusted(joint, min_score):
            chosen[0, count], chosen[1, count] = joint[0], joint[1]
            count += 1
    return np.median(chosen[0, :count]), np.median(chosen[1, :count])


@kernel
def update_remembered_joints(
    keypoints: Floats,
    min_score: float,
    joints: Doubles,
    seen_ms: Doubles,
    timestamp_ms: float,
    hold_ms: float,
) -> None:
    """Move remembered joints (K, 2) to the trusted ones (K, 3), the others along with them.

    ``seen_ms`` (K,) says when each was trusted last; after ``hold_ms`` it is forgotten.
    """
    moves = np.empty((2, len(joints)))
    count = 0
    for joint, known in zip(keypoints, joints):  # noqa: B905 - numba knows no strict
        if _is_trusted(joint, min_score) and math.isfinite(known[0] + known[1]):
            moves[0, count], moves[1, count] = joint[0] - known[0], joint[1] - known[1]
            count += 1
    # The median, because a swapped or mistaken joint must not take the others along.
    dx = np.median(moves[0, :count]) if count else 0.0
    dy = np.median(moves[1, :count]) if count else 0.0
    for k in range(len(joints)):
        if _is_trusted(keypoints[k], min_score):
            joints[k, 0], joints[k, 1], seen_ms[k] = keypoints[k, 0], keypoints[k, 1], timestamp_ms
        elif timestamp_ms - seen_ms[k] <= hold_ms:
            joints[k, 0], joints[k, 1] = joints[k, 0] + dx, joints[k, 1] + dy
        else:
            joints[k, 0], joints[k, 1] = np.nan, np.nan


@kernel
def extent_inside(
    points: Doubles, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return the lowest x and y and the highest of those points (K, 2) that a frame shows.

    Infinite and minus infinite if it shows none.
    """
    left, top, right, bottom = np.inf, np.inf, -np.inf, -np.inf
    for point in points:
        x, y = point[0], point[1]
        if -0.5 <= x <= width - 0.5 and -0.5 <= y <= height - 0.5:
            left, top, right, bottom = min(left, x), min(top, y), max(right, x), max(bottom, y)
    return left, top, right, bottom


@kernel
def _low_pass(cutoff_hz: float, seconds: float) -> float:
    """Return the weight of a new value, between 0 and 1."""
    return 1 - 1 / (1 + 2 * math.pi * cutoff_hz * seconds)


@kernel
def smooth_joints(
    measured: Doubles,
    timestamp_ms: float,
    scale_px: float,
    settings: tuple[float, float, float, float, float],
    before: Doubles,
    seen_ms: Doubles,
    out: Floats,
) -> None:
    """Filter joints (K, 2) with the One-Euro filter into ``out`` (K, 2).

    Args:
        measured: x, y; NaN for a joint that is missing.
        timestamp_ms: of the joints.
        scale_px: what speeds are relative to.
        settings: min_cutoff_hz, beta, derivative_cutoff_hz, max_gap_ms, jump_speed.
        before: (3, K, 2) what was measured, smoothed, and its velocity; updated.
        seen_ms: (K,) when each joint was measured last; updated.
        out: receives the smoothed joints.
    """
    min_cutoff, beta, derivative_cutoff, max_gap, jump_speed = settings
    for k in range(len(measured)):
        x, y = measured[k, 0], measured[k, 1]
        if not math.isfinite(x + y):
            out[k, 0], out[k, 1] = np.nan, np.nan
            continue
        elapsed = max(timestamp_ms - seen_ms[k], SHORTEST_STEP_MS)
        seen_ms[k] = timestamp_ms
        if elapsed <= max_gap:
            seconds = elapsed / 1000
            weight = _low_pass(derivative_cutoff, seconds)
            for axis in range(2):
                speed = (measured[k, axis] - before[0, k, axis]) / (scale_px * seconds)
                before[2, k, axis] += weight * (speed - before[2, k, axis])
            velocity = math.hypot(before[2, k, 0], before[2, k, 1])
            weight = _low_pass(min_cutoff + beta * velocity, seconds)
            away = math.hypot(x - before[1, k, 0], y - before[1, k, 1])
            longest = (jump_speed + velocity) * scale_px * seconds
            if weight * away > longest:
                weight = longest / away
            for axis in range(2):
                before[1, k, axis] += weight * (measured[k, axis] - before[1, k, axis])
        else:
            # Number by number: numba's assignments of arrays bring code that makes messages.
            for axis in range(2):
                before[1, k, axis], before[2, k, axis] = measured[k, axis], 0.0
        before[0, k, 0], before[0, k, 1] = x, y
        out[k, 0], out[k, 1] = before[1, k, 0], before[1, k, 1]
