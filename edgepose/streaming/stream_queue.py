"""One stream's frames on their way from ``submit()`` to the callbacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Protocol

from edgepose.results import (
    DropReason,
    FrameDrop,
    Notification,
    PoseResult,
    StreamEnd,
    TrackingFailure,
)
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import FlowPolicy
from edgepose.streaming.notification_queue import QUEUED_NOTIFICATIONS, NotificationQueue
from edgepose.tracking.frame import Frame, FrameSequence, Image
from edgepose_runtime.errors import EdgePoseError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.geometry.roi import RoiLike

#: Results that may wait for a callback where every frame counts; then tracking waits, too.
QUEUED_RESULTS = 16
#: The same where the newest counts; then the oldest of them is dropped.
QUEUED_LATEST = 4


class Step(Protocol):
    """Tracks the frames of one stream, such as :class:`edgepose.tracking.step.TrackingStep`.

    Attributes:
        lag_frames: how many frames are held back at most, for the sake of better results.
    """

    lag_frames: int

    def run(self, frame: Frame) -> Sequence[PoseResult | StreamEvent]:
        """Track a frame, and return the results that are final, in order, and events."""

    def flush(self) -> Sequence[PoseResult | StreamEvent]:
        """Return the results that are held back, and events."""


class Flush(Enum):
    """The job of asking for the results that are held back."""

    HELD = "held"


Job = Frame | Flush


class StreamQueue:
    """The frames of one stream, and the notifications about them. Not locked.

    Each frame that :meth:`submit` takes ends once: as a result that
    :meth:`next_notification` hands out, as a drop or as an error.

    Attributes:
        working: a thread tracks a frame of it.
        is_over: its end was delivered.

    Args:
        step: tracks one frame. The only part that takes long: it is called without any lock.
        policy: holds the frames that wait.
        recorder: counts.
        name: of the stream, where there are several.
        keep_images: the image of each result is kept for :meth:`take_image`.
    """

    def __init__(
        self,
        step: Step,
        policy: FlowPolicy,
        recorder: StatsRecorder,
        name: str = "",
        *,
        keep_images: bool = False,
    ) -> None:
        self.name = name
        self.step = step
        self.recorder = recorder
        self.working = False
        self.is_over = False
        self._policy = policy
        self._sequence = FrameSequence()
        self._busy: Job | None = None
        self._held: dict[int, Frame] = {}  # worked on, without a result yet
        self._flush = False
        self._notifications = NotificationQueue()
        self._images: dict[int, Image] | None = {} if keep_images else None
        self._gap = False  # before the next frame that is submitted
        self._restart = False  # at the next frame that is taken: the one after the gap is gone
        self._end: StreamEnd | None = None

    @property
    def has_room(self) -> bool:
        """Whether the next frame is taken without waiting."""
        return self._policy.drops or (
            self._policy.has_room
            and len(self._notifications.entries) < QUEUED_RESULTS + QUEUED_NOTIFICATIONS
        )

    @property
    def has_frames(self) -> bool:
        """Whether frames wait."""
        return bool(self._policy.frames)

    @property
    def is_ready(self) -> bool:
        """Whether there is a job now."""
        room = self._policy.drops or self._notifications.results < QUEUED_RESULTS
        return (self.has_frames or self._flush_is_due) and room and not self.working

    @property
    def has_notification(self) -> bool:
        """Whether there is a notification to deliver."""
        return bool(self._notifications.entries) or (self._end is not None and self.is_drained)

    @property
    def takes_frames(self) -> bool:
        """Whether its end was not announced yet."""
        return self._end is None and not self.is_over

    @property
    def is_drained(self) -> bool:
        """Whether no frame waits, is being tracked or held back."""
        return self._busy is None and not self.has_frames and not self._held

    @property
    def is_idle(self) -> bool:
        """Whether each frame has ended, and everything is delivered."""
        return self.is_drained and not self.has_notification

    def submit(
        self,
        image: Image,
        timestamp_ms: float | None,
        roi: RoiLike | None = None,
        called: float | None = None,
    ) -> int:
        """Take a frame in and return its number; only where there is room.

        Args:
            image: uint8 BGR (H, W, 3).
            timestamp_ms: when it was taken; ``None`` for the time of the call.
            roi: where to look.
            called: when it was handed over, before any wait for room; ``None`` for now.

        Raises:
            TimestampError: the timestamp is not after the last one.
        """
        called = time.monotonic() if called is None else called
        self.recorder.add_frame()
        try:
            frame = self._sequence.create(image, timestamp_ms, roi, called, restart=self._gap)
        except EdgePoseError:
            self.recorder.add_error()
            raise
        self._gap = False
        self._drop(self._policy.put(frame), DropReason.SUPERSEDED)
        return frame.frame_id

    def refuse(self, error: Exception) -> None:
        """Count and report a frame that could not be taken in."""
        self.recorder.add_frame()
        self._fail(TrackingFailure(error))

    def flush(self) -> None:
        """Have the results that are held back given out, once no frame waits."""
        self._flush = not self.is_drained

    def take(self) -> Job | None:
        """Return the next job; ``None`` if all frames that wait are too old."""
        frame, stale = self._policy.take()
        self._drop(stale, DropReason.STALE)
        job: Job | None = frame
        if frame is None:
            job = Flush.HELD if self._flush_is_due else None
        elif self._restart:
            job, self._restart = replace(frame, restart=True), False
        self._busy, self.working = job, job is not None
        return job

    def finish(self, job: Job, outcome: Sequence[PoseResult | StreamEvent] | Exception) -> None:
        """Take in the outcome of a job."""
        self.working = False
        if job is not self._busy:
            return  # it was dropped meanwhile
        self._busy = None
        if isinstance(outcome, Exception):
            self._failed(job, outcome)
        else:
            if isinstance(job, Frame):
                self._held[job.frame_id] = job
            for item in outcome:
                if isinstance(item, PoseResult):
                    self._add_result(item)
                else:
                    self.add_event(item)
            if job is Flush.HELD and self._held:
                self._failed(job, RuntimeError("Results that were held back did not come."))
        self._flush = self._flush and not self.is_drained

    def add_event(self, event: StreamEvent) -> None:
        """Report an event; at a loss held results are due, and after it tracking starts anew."""
        if event.kind in (EventKind.LOST, EventKind.RECONNECTED):
            self._gap = True
            self.flush()
        self._put(event)

    def end(self, error: Exception | None) -> None:
        """Report, after everything else, that there will be no more frames."""
        if self.takes_frames:
            self._end = StreamEnd(error)

    def next_notification(self) -> Notification | None:
        """Return the next notification."""
        if self._notifications.entries:
            notification = self._notifications.take()
            if isinstance(notification, PoseResult):
                self.recorder.add_result(notification)
            return notification
        end, self._end = self._end, None
        self.is_over = self.is_over or end is not None
        return end

    def take_image(self, result: PoseResult) -> Image | None:
        """Return the image of a result that was handed out, once, where images are kept."""
        return None if self._images is None else self._images.pop(id(result), None)

    def drop_frames(self, reason: DropReason) -> None:
        """Drop the frames that wait."""
        self._drop(self._policy.clear(), reason)

    def drop_all(self, reason: DropReason) -> None:
        """Drop everything that has not been handed out, also the frame being tracked."""
        unfinished = self._unfinished()
        for result in self._notifications.take_results():
            self.take_image(result)
            self._end_as_drop(result.frame_id, result.timestamp_ms, reason)
        self._drop(unfinished, reason)
        self.drop_frames(reason)

    def fail_all(self, error: Exception) -> None:
        """End the frames that wait or are being tracked with an error."""
        for frame in [*self._unfinished(), *self._policy.clear()]:
            self._fail(TrackingFailure(error, frame.frame_id, frame.timestamp_ms))

    def discard_notifications(self) -> None:
        """Discard the notifications; all frames must have ended."""
        for _ in range(self._notifications.ended_frames):
            self.recorder.add_unreported()
        self._notifications.clear()
        self._end = None

    def restart(self, recorder: StatsRecorder) -> None:
        """Begin with frame 0 at any time, as if newly made; no frame may wait or be tracked."""
        self.recorder = recorder
        self._sequence.reset()
        self._gap = self._restart = False

    @property
    def _flush_is_due(self) -> bool:
        wanted = self._flush or self._end is not None
        return wanted and bool(self._held) and not self.has_frames

    def _unfinished(self) -> list[Frame]:
        """Remove the frames that are held back or being tracked, and return them."""
        frames = list(self._held.values())
        if isinstance(self._busy, Frame):
            frames.append(self._busy)
        self._held.clear()
        self._busy, self._flush = None, False
        return frames

    def _add_result(self, result: PoseResult) -> None:
        frame = self._held.pop(result.frame_id, None)
        if frame is None:
            return  # it was dropped meanwhile
        if self._images is not None:
            self._images[id(result)] = frame.image
        self._notifications.put_result(result)
        if (
            self._policy.drops
            and self._notifications.results > QUEUED_LATEST + self.step.lag_frames
        ):
            oldest = self._notifications.take_oldest_result()
            self.take_image(oldest)
            self._end_as_drop(oldest.frame_id, oldest.timestamp_ms, DropReason.SLOW_CALLBACK)

    def _failed(self, job: Job, error: Exception) -> None:
        failed = [job] if isinstance(job, Frame) else self._unfinished()
        for frame in failed:
            self._restart = self._restart or frame.restart
            self._fail(TrackingFailure(error, frame.frame_id, frame.timestamp_ms))

    def _drop(self, frames: list[Frame], reason: DropReason) -> None:
        for frame in frames:
            self._restart = self._restart or frame.restart
            self._end_as_drop(frame.frame_id, frame.timestamp_ms, reason)

    def _end_as_drop(self, frame_id: int, timestamp_ms: float, reason: DropReason) -> None:
        self.recorder.add_drop(reason)
        self._put(FrameDrop(frame_id, timestamp_ms, reason))

    def _fail(self, failure: TrackingFailure) -> None:
        self.recorder.add_error()
        self._put(failure)

    def _put(self, notification: FrameDrop | TrackingFailure | StreamEvent) -> None:
        pushed_out = self._notifications.put(notification)
        if isinstance(pushed_out, (FrameDrop, TrackingFailure)):
            self.recorder.add_unreported()
