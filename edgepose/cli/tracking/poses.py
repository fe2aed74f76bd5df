"""Iterators over the frames of a source with their poses, with or without a lag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue

from edgepose.inference.estimator import Image
from edgepose.results import PoseResult, TrackingFailure
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.geometry.roi import RoiLike

FramesWithPoses = Iterator[tuple[Image, PoseResult]]
Stopped = Callable[[], bool]

#: Results and errors of a tracker with a lag, put there by its ``on_result`` and ``on_error``.
Notifications = SimpleQueue[PoseResult | TrackingFailure]


def immediate_poses(
    tracker: PoseTracker, source: FrameSource, roi: RoiLike | None, stopped: Stopped
) -> FramesWithPoses:
    """Track frame after frame, until the source ends or ``stopped`` returns true."""
    for frame in source:
        yield frame.image, tracker.track(frame.image, roi=roi, timestamp_ms=frame.timestamp_ms)
        if stopped():
            return


def delayed_poses(
    tracker: PoseTracker,
    notifications: Notifications,
    source: FrameSource,
    roi: RoiLike | None,
    stopped: Stopped,
) -> FramesWithPoses:
    """Track with a tracker whose results come some frames late; a stopped source is flushed."""
    waiting: dict[int, Image] = {}
    for frame in source:
        number = tracker.submit(frame.image, frame.timestamp_ms, roi=roi)
        waiting[number] = frame.image
        yield from _ready(notifications, waiting)
        if stopped():
            break
    tracker.flush()
    yield from _ready(notifications, waiting)


def _ready(notifications: Notifications, waiting: dict[int, Image]) -> FramesWithPoses:
    while not notifications.empty():
        notification = notifications.get()
        if isinstance(notification, TrackingFailure):
            raise notification.error
        yield waiting.pop(notification.frame_id), notification
