"""Smoothing the poses of one stream, for as long as they are of one person."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.smoothing import OneEuroFilter, OneEuroSettings

Keypoints = NDArray[np.float32]


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

    def apply(self, seen: Keypoints, region: Roi, timestamp_ms: float) -> Keypoints:
        """Return the next pose (K, 3) of x, y, score, smoothed; the one given stays as it is.

        Args:
            seen: x and y in frame pixels, and scores.
            region: where the network looked.
            timestamp_ms: of the frame, after the one before.
        """
        keypoints = seen.copy()
        if self._filter is None:
            return keypoints
        if self._region is not None and not self._region.contains(region.center):
            self._filter.reset()  # another person, or another place
        self._region = region
        keypoints[:, :2] = self._filter.apply(keypoints[:, :2], timestamp_ms, region.width)
        return keypoints
