"""Smoothing the poses of one stream, and doubting the joints that its pictures do not show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.smoothing import OneEuroFilter, OneEuroSettings

Keypoints = NDArray[np.float32]

#: What is cut off by the picture's edge is mostly placed there by networks, and with confidence:
#: joints nearer to it than this part of the picture's longer side get this score at most.
EDGE, OUTSIDE_SCORE = 0.01, 0.25


def doubt_joints_outside(keypoints: Keypoints, frame_size: tuple[int, int]) -> None:
    """Lower the scores of joints (K, 3) outside the picture or at its very edge, in place.

    Args:
        keypoints: x and y in frame pixels, and scores.
        frame_size: (width, height) in pixels.
    """
    margin = EDGE * max(frame_size)
    middle = np.array([frame_size[0] - 1, frame_size[1] - 1], np.float32) / 2
    outside = (np.abs(keypoints[:, :2] - middle) > middle - margin).any(axis=1)
    keypoints[outside, 2] = np.minimum(keypoints[outside, 2], OUTSIDE_SCORE)


class PoseSmoother:
    """Smooths joints in time, and resets where the region jumps. Not locked.

    Args:
        settings: how much to smooth, ``None`` for not at all.
    """

    def __init__(self, settings: OneEuroSettings | None) -> None:
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
            frame_size: (width, height) in pixels; see :func:`doubt_joints_outside`. ``None`` where
                that has been done.
        """
        keypoints = seen.copy()
        if frame_size is not None:
            doubt_joints_outside(keypoints, frame_size)
        if self._filter is None:
            return keypoints
        if self._region is not None and not self._region.contains(region.center):
            self._filter.reset()  # another person, or another place
        self._region = region
        keypoints[:, :2] = self._filter.apply(keypoints[:, :2], timestamp_ms, region.width)
        return keypoints
