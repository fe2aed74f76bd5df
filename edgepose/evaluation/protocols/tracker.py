"""The ``tracker`` protocol: the whole video through a tracker that is told nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.results import Origin, PoseResult
from edgepose_runtime.capture import CapturedFrame
from edgepose_runtime.poses.skeletons import Skeleton

#: Origins of poses in frames that no network processed.
UNPROCESSED = (Origin.PREDICTED, Origin.INTERPOLATED)


class Tracker(Protocol):
    """What is needed of a :class:`edgepose.PoseTracker`."""

    def track(self, frame: Image, *, timestamp_ms: float | None = None) -> PoseResult:
        """Return the pose in the next frame."""

    def submit(self, frame: Image, timestamp_ms: float | None = None) -> int:
        """Submit the next frame."""

    def flush(self) -> bool:
        """Wait until each frame has ended."""

    def close(self) -> None:
        """Release everything."""


@dataclass(frozen=True)
class TrackerPredictor:
    """Predicts clips as a user would: one fresh tracker per clip, frame after frame.

    Attributes:
        skeleton: the order of the predicted joints.
        new_tracker: makes a tracker in its initial state; where results come later than their
            frames it is given ``on_result`` and ``policy``.
        lag_frames: by how many frames results come later.
        processed: how many frames of each clip, by name, the networks processed. Frames in which
            nobody was found count, as they were searched.
    """

    skeleton: Skeleton
    new_tracker: Callable[..., Tracker]
    lag_frames: int = 0
    processed: dict[str, int] = field(default_factory=dict)

    def predict(self, clip: Clip) -> NDArray[np.float32]:
        """Return (T, K, 3): x, y in frame pixels and score; a frame without a pose is all NaN."""
        if self.lag_frames:
            results = track_clip_late(self.new_tracker, clip)
        else:
            results = track_clip(self.new_tracker(), clip)
        self.processed[clip.name] = sum(each.origin not in UNPROCESSED for each in results)
        return keypoints_of(results, self.skeleton)


def keypoints_of(results: Sequence[PoseResult], skeleton: Skeleton) -> NDArray[np.float32]:
    """Return the keypoints (T, K, 3) of results; NaN for those without a pose."""
    nobody = np.full((skeleton.num_joints, 3), np.nan, np.float32)
    return np.stack([nobody if each.keypoints is None else each.keypoints for each in results])


def captured(clip: Clip) -> Iterator[CapturedFrame]:
    """Yield the frames of a clip with their times, as a source does."""
    for index, image in enumerate(clip.frames()):
        yield CapturedFrame(index, image, 1000 * index / clip.fps)


def track_clip(tracker: Tracker, clip: Clip) -> list[PoseResult]:
    """Return a fresh tracker's result for each frame of a clip, and close the tracker."""
    try:
        return [
            tracker.track(frame.image, timestamp_ms=frame.timestamp_ms) for frame in captured(clip)
        ]
    finally:
        tracker.close()


def track_clip_late(new_tracker: Callable[..., Tracker], clip: Clip) -> list[PoseResult]:
    """Return the result for each frame of a clip from a tracker that holds frames back."""
    results: list[PoseResult] = []
    tracker = new_tracker(on_result=results.append, policy="every-frame")
    try:
        for frame in captured(clip):
            tracker.submit(frame.image, frame.timestamp_ms)
        tracker.flush()
    finally:
        tracker.close()  # raises what went wrong on the tracker's threads
    return results
