"""What the kernels for the joints of a pose compute, in NumPy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


#: Timestamps closer together, in ms, count as this far apart: speeds stay finite.
SHORTEST_STEP_MS = 1e-3


def trusted_joints(keypoints: Floats, min_score: float) -> NDArray[np.bool_]:
    """Say which joints (K, 3) of x, y, score are finite and score at least so much, (K,)."""
    finite = np.isfinite(keypoints).all(axis=1)
    trusted: NDArray[np.bool_] = finite & (keypoints[:, 2] >= min_score)
    return trusted


def survey_joints_numpy(keypoints: Floats, min_score: float) -> tuple[int, float]:
    """Return how many joints (K, 3) are trusted, and how far apart they are in x or y."""
    places = keypoints[trusted_joints(keypoints, min_score), :2]
    return len(places), float(np.ptp(places, axis=0).max()) if len(places) else 0.0


def middle_joint_numpy(keypoints: Floats, min_score: float) -> tuple[float, float]:
    """Return the median x and y of the trusted joints (K, 3), of which there is one at least."""
    x, y = np.median(keypoints[trusted_joints(keypoints, min_score), :2], axis=0).tolist()
    return x, y


def update_remembered_joints_numpy(
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
    trusted = trusted_joints(keypoints, min_score)
    both = trusted & np.isfinite(joints).all(axis=1)
    moves = keypoints[both, :2] - joints[both]
    shift = np.median(moves, axis=0) if both.any() else np.zeros(2)
    seen_ms[trusted] = timestamp_ms
    joints += shift
    joints[timestamp_ms - seen_ms > hold_ms] = np.nan
    joints[trusted] = keypoints[trusted, :2]


def extent_inside_numpy(
    points: Doubles, width: float, height: float
) -> tuple[float, float, float, float]:
    """Return the lowest x and y and the highest of those points (K, 2) that a frame shows.

    Infinite and minus infinite if it shows none.
    """
    inside = ((points >= -0.5) & (points <= np.subtract((width, height), 0.5))).all(axis=1)
    left, top = points[inside].min(axis=0, initial=np.inf).tolist()
    right, bottom = points[inside].max(axis=0, initial=-np.inf).tolist()
    return left, top, right, bottom
