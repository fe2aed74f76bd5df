"""The ``tracker`` protocol: the whole video through a tracker that is told nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.results import PoseResult
from edgepose_runtime.poses.skeletons import Skeleton


class Tracker(Protocol):
    """What is needed of a :class:`edgepose.PoseTracker`."""

    def track(self, frame: Image, *, timestamp_ms: float | None = None) -> PoseResult:
        """Return the pose in the next frame."""

    def close(self) -> None:
        """Release everything."""


@dataclass(frozen=True)
class TrackerPredictor:
    """Predicts clips as a user would: one fresh tracker per clip, frame after frame.

    Attributes:
        skeleton: the order of the predicted joints.
        new_tracker: makes a tracker in its initial state.
    """

    skeleton: Skeleton
    new_tracker: Callable[[], Tracker]

    def predict(self, clip: Clip) -> NDArray[np.float32]:
        """Return (T, K, 3): x, y in frame pixels and score; a frame without a pose is all NaN."""
        results = track_clip(self.new_tracker(), clip)
        return np.stack([self._keypoints(result) for result in results])

    def _keypoints(self, result: PoseResult) -> NDArray[np.float32]:
        if result.keypoints is None:
            return np.full((self.skeleton.num_joints, 3), np.nan, np.float32)
        return result.keypoints


def track_clip(tracker: Tracker, clip: Clip) -> list[PoseResult]:
    """Return a fresh tracker's result for each frame of a clip, and close the tracker."""
    try:
        return [
            tracker.track(frame, timestamp_ms=1000 * index / clip.fps)
            for index, frame in enumerate(clip.frames())
        ]
    finally:
        tracker.close()
