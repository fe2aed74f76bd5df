"""Smoothing the poses of one stream, and doubting the joints that its pictures do not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.poses.smoothing import OneEuroFilter, OneEuroSettings

Keypoints = NDArray[np.float32]

#: What is cut off by the picture's edge is mostly placed there by networks, and with confidence:
#: joints nearer to it than this part of the picture's longer side get this score at most.
EDGE, OUTSIDE_SCORE = 0.01, 0.25
#: So do hips, knees and ankles that are nearer than this, if what ends there is shorter than this
#: part of the torso: it goes on outside. (Arms look that short in many poses.)
NEAR, SHORT = 0.04, 0.4
#: Where the sides of the torso and the legs end, and where they begin.
_BEGINNINGS = {"hip": "shoulder", "knee": "hip", "ankle": "knee"}
_TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")


class OutsideJoints:
    """Doubts the joints that the picture's edge cuts off.

    Args:
        skeleton: of the poses. One without shoulders or hips has no limbs that look short.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        known = set(skeleton.joints)
        limbs = [
            (skeleton.index(f"{side}_{start}"), skeleton.index(f"{side}_{end}"))
            for side in ("left", "right")
            for end, start in _BEGINNINGS.items()
            if known.issuperset((*_TORSO, f"{side}_{start}", f"{side}_{end}"))
        ]
        self._starts, self._ends = np.array(limbs, np.intp).reshape(-1, 2).T
        self._torso = [skeleton.index(name) for name in _TORSO] if limbs else []

    def doubt(self, keypoints: Keypoints, frame_size: tuple[int, int]) -> None:
        """Lower the scores of joints (K, 3) outside the picture or at its edge, in place.

        Args:
            keypoints: x and y in frame pixels, and scores.
            frame_size: (width, height) in pixels.
        """
        middle = np.array([frame_size[0] - 1, frame_size[1] - 1], np.float32) / 2
        inside = (middle - np.abs(keypoints[:, :2] - middle)).min(axis=1) / max(frame_size)
        outside, near = inside < EDGE, inside < NEAR
        if near.any() and self._torso:
            outside[self._ends] |= near[self._ends] & self._looks_short(keypoints[:, :2])
            for _ in range(2):  # to the knee, then to the ankle
                outside[self._ends] |= near[self._ends] & outside[self._starts]
        keypoints[outside, 2] = np.minimum(keypoints[outside, 2], OUTSIDE_SCORE)

    def _looks_short(self, places: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which limbs are short for the larger of the torso's length and width."""
        left, right, left_hip, right_hip = places[self._torso]
        length = np.linalg.norm(left + right - left_hip - right_hip) / 2
        torso = max(float(length), float(np.linalg.norm(left - right)))
        lengths = np.linalg.norm(places[self._ends] - places[self._starts], axis=1)
        short: NDArray[np.bool_] = lengths < SHORT * torso
        return short


class PoseSmoother:
    """Smooths joints in time, and resets where the region jumps. Not locked.

    Args:
        settings: how much to smooth, ``None`` for not at all.
        outside: doubts joints outside the picture, ``None`` where that is done elsewhere.
    """

    def __init__(
        self, settings: OneEuroSettings | None, outside: OutsideJoints | None = None
    ) -> None:
        self._outside = outside
        self._filter = None if settings is None else OneEuroFilter(settings)
        self._region: Roi | None = None

    def reset(self) -> None:
        """Forget the person."""
        self._region = None
        if self._filter is not None:
            self._filter.reset()

    def apply(
        self,
        seen: Keypoints,
        region: Roi,
        timestamp_ms: float,
        frame_size: tuple[int, int] | None = None,
    ) -> Keypoints:
        """Return the next pose (K, 3) of x, y, score, smoothed; the one given stays as it is.

        Args:
            seen: x and y in frame pixels, and scores.
            region: where the network looked.
            timestamp_ms: of the frame, after the one before.
            frame_size: (width, height) in pixels; see :class:`OutsideJoints`. ``None`` where that
                has been done.
        """
        keypoints = seen.copy()
        if frame_size is not None and self._outside is not None:
            self._outside.doubt(keypoints, frame_size)
        if self._filter is None:
            return keypoints
        if self._region is not None and not self._region.contains(region.center):
            self._filter.reset()  # another person, or another place
        self._region = region
        keypoints[:, :2] = self._filter.apply(keypoints[:, :2], timestamp_ms, region.width)
        return keypoints
