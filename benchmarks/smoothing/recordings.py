"""Tracks without smoothing, kept so that many ways to smooth can be compared cheaply."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.evaluation.protocols.tracker import Tracker, track_clip
from edgepose.tracking.smoothing import PoseSmoother
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.smoothing import OneEuroSettings


@dataclass(frozen=True, eq=False)
class Track:
    """An unsmoothed tracker's result of each frame of a clip.

    Attributes:
        keypoints: float32 (T, K, 3): x, y in pixels and score; NaN in frames without a pose.
        regions: where the network looked, ``None`` in frames without a pose.
        timestamps_ms: when the frames were taken.
    """

    keypoints: NDArray[np.float32]
    regions: tuple[Roi | None, ...]
    timestamps_ms: tuple[float, ...]


def record(tracker: Tracker, clip: Clip) -> Track:
    """Run a fresh tracker, which must not smooth, through a clip, and close it."""
    results = track_clip(tracker, clip)
    nobody = np.full((results[0].skeleton.num_joints, 3), np.nan, np.float32)
    found = [result.keypoints is not None and result.roi is not None for result in results]
    poses = [result.keypoints if result.keypoints is not None else nobody for result in results]
    regions = (
        Roi(*result.roi) if there and result.roi is not None else None
        for result, there in zip(results, found, strict=True)
    )
    times = (result.timestamp_ms for result in results)
    return Track(np.stack(poses), tuple(regions), tuple(times))


def smoothed(track: Track, settings: OneEuroSettings | None) -> NDArray[np.float32]:
    """Return the keypoints (T, K, 3) as a tracker with this smoothing would have given them."""
    steadier = PoseSmoother(settings)
    rows = zip(track.keypoints, track.regions, track.timestamps_ms, strict=True)
    return np.stack(
        [
            pose if region is None else steadier.apply(pose, region, timestamp_ms)
            for pose, region, timestamp_ms in rows
        ]
    )
