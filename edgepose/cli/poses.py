"""The poses of a source, one after the other: at once, or some frames late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue

from edgepose.inference.estimator import Image
from edgepose.results import PoseResult, TrackingFailure
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.geometry.roi import RoiLike

Posed = Iterator[tuple[Image, PoseResult]]
Stopped = Callable[[], bool]

#: What a tracker that holds poses back tells; its ``on_result`` and ``on_error`` put it there.
Told = SimpleQueue[PoseResult | TrackingFailure]


def poses_at_once(
    tracker: PoseTracker, source: FrameSource, roi: RoiLike | None, stopped: Stopped
) -> Posed:
    """Track frame after frame, until the source ends or somebody stops it."""
    for frame in source:
        yield frame.image, tracker.track(frame.image, roi=roi, timestamp_ms=frame.timestamp_ms)
        if stopped():
            return


def poses_in_time(
    tracker: PoseTracker,
    told: Told,
    source: FrameSource,
    roi: RoiLike | None,
    stopped: Stopped,
) -> Posed:
    """Do the same with a tracker that holds poses back; those of a stopped source come, too."""
    waiting: dict[int, Image] = {}
    for frame in source:
        number = tracker.submit(frame.image, frame.timestamp_ms, roi=roi)
        waiting[number] = frame.image
        yield from _told(told, waiting)
        if stopped():
            break
    tracker.flush()
    yield from _told(told, waiting)


def _told(told: Told, waiting: dict[int, Image]) -> Posed:
    while not told.empty():
        notice = told.get()
        if isinstance(notice, TrackingFailure):
            raise notice.error
        yield waiting.pop(notice.frame_id), notice
