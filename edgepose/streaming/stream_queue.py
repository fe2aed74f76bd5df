"""One stream's frames on their way from ``submit()`` to the callbacks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose.notices import Notice, StreamEnd, TrackingFailure
from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import DropReason, FlowPolicy, FrameDrop, PendingFrame
from edgepose.streaming.notification_queue import QUEUED_NOTICES, Outbox
from edgepose.tracking.timestamps import StreamTime
from edgepose_runtime.errors import EdgePoseError
from edgepose_runtime.events import EventKind, StreamEvent

#: Results that may wait for a callback where every frame counts; then tracking waits, too.
QUEUED_RESULTS = 16
#: The same where the newest counts; then the oldest of them is dropped.
QUEUED_LATEST = 4


class Work(Protocol):
    """Tracks the frames of one stream."""

    @property
    def lag_frames(self) -> int:
        """How many frames are held back at most, for the sake of better results."""

    def __call__(self, frame: PendingFrame) -> Sequence[PoseResult]:
        """Track a frame, and return the results that are final, in order."""

    def flush(self) -> Sequence[PoseResult]:
        """Return the results that are held back."""


class Flush(Enum):
    """The job of asking for the results that are held back."""

    HELD = "held"


Job = PendingFrame | Flush


class Lane:
    """The frames of one stream, and what there is to tell about them. Not locked.

    Each frame that :meth:`submit` takes ends once: as a result that :meth:`next_notice` hands out,
    as a drop or as an error.

    Attributes:
        working: a thread works on a frame of it.
        is_over: its end was told.

    Args:
        work: tracks one frame. The only part that takes long: it is called without any lock.
        policy: holds the frames that wait.
        recorder: counts.
        name: of the stream, where there are several.
    """

    def __init__(
        self, work: Work, policy: FlowPolicy, recorder: StatsRecorder, name: str = ""
    ) -> None:
        self.name = name
        self.work = work
        self.recorder = recorder
        self.working = False
        self.is_over = False
        self._policy = policy
        self._time = StreamTime()
        self._next_id = 0
        self._busy: Job | None = None
        self._held: dict[int, PendingFrame] = {}  # worked on, without a result yet
        self._flush = False
        self._outbox = Outbox()
        self._gap = False  # before the next frame that is submitted
        self._restart = False  # at the next frame that is taken: the one after the gap is gone
        self._end: StreamEnd | None = None

    @property
    def has_room(self) -> bool:
        """Whether the next frame is taken without waiting."""
        return self._policy.drops or (
            self._policy.has_room and len(self._outbox) < QUEUED_RESULTS + QUEUED_NOTICES
        )

    @property
    def has_frames(self) -> bool:
        """Whether frames wait."""
        return len(self._policy) > 0

    @property
    def is_ready(self) -> bool:
        """Whether there is something to work on now."""
        room = self._policy.drops or self._outbox.results < QUEUED_RESULTS
        return (self.has_frames or self._flush_is_due) and room and not self.working

    @property
    def has_notice(self) -> bool:
        """Whether there is something to tell."""
        return len(self._outbox) > 0 or (self._end is not None and self.is_worked_off)

    @property
    def takes_frames(self) -> bool:
        """Whether its end was not announced yet."""
        return self._end is None and not self.is_over

    @property
    def is_worked_off(self) -> bool:
        """Whether no frame waits, is in work or held back."""
        return self._busy is None and not self.has_frames and not self._held

    @property
    def is_idle(self) -> bool:
        """Whether each frame has ended, and there is nothing to tell."""
        return self.is_worked_off and not self.has_notice

    def submit(
        self,
        image: NDArray[np.uint8],
        timestamp_ms: float | None,
        roi: object = None,
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
            stamp = self._time.check(timestamp_ms, called)
        except EdgePoseError:
            self.recorder.add_error()
            raise
        self._time.accept(stamp, called)
        frame = PendingFrame(self._next_id, image, stamp, roi, self._gap, arrived=called)
        self._next_id += 1
        self._gap = False
        self._drop(self._policy.put(frame), DropReason.SUPERSEDED)
        return frame.frame_id

    def refuse(self, error: Exception) -> None:
        """Count a frame that could not even be taken in, and tell about it."""
        self.recorder.add_frame()
        self._fail(TrackingFailure(error))

    def flush(self) -> None:
        """Have the results that are held back given out, once no frame waits."""
        self._flush = not self.is_worked_off

    def take(self) -> Job | None:
        """Return what to work on next; ``None`` if all frames that wait are too old."""
        frame, stale = self._policy.take()
        self._drop(stale, DropReason.STALE)
        job: Job | None = frame
        if frame is None:
            job = Flush.HELD if self._flush_is_due else None
        elif self._restart:
            job, self._restart = replace(frame, afresh=True), False
        self._busy, self.working = job, job is not None
        return job

    def finish(self, job: Job, outcome: Sequence[PoseResult] | Exception) -> None:
        """Take in what came of a job."""
        self.working = False
        if job is not self._busy:
            return  # it was dropped meanwhile
        self._busy = None
        if isinstance(outcome, Exception):
            self._failed(job, outcome)
        else:
            if isinstance(job, PendingFrame):
                self._held[job.frame_id] = job
            for result in outcome:
                self._add_result(result)
            if job is Flush.HELD and self._held:
                self._failed(job, RuntimeError("Results that were held back did not come."))
        self._flush = self._flush and not self.is_worked_off

    def add_event(self, event: StreamEvent) -> None:
        """Tell about an event; after a loss tracking starts afresh."""
        if event.kind in (EventKind.LOST, EventKind.RECONNECTED):
            self._gap = True
        self._put(event)

    def end(self, error: Exception | None) -> None:
        """Tell, after everything else, that there will be no more frames."""
        if self.takes_frames:
            self._end = StreamEnd(error)

    def next_notice(self) -> Notice | None:
        """Hand out what there is to tell next."""
        if len(self._outbox):
            notice = self._outbox.take()
            if isinstance(notice, PoseResult):
                self.recorder.add_result(notice)
            return notice
        end, self._end = self._end, None
        self.is_over = self.is_over or end is not None
        return end

    def drop_frames(self, reason: DropReason) -> None:
        """Drop the frames that wait."""
        self._drop(self._policy.clear(), reason)

    def drop_all(self, reason: DropReason) -> None:
        """Drop everything that has not been handed out, also the frame in work."""
        unfinished = self._unfinished()
        for result in self._outbox.take_results():
            self._end_as_drop(result.frame_id, result.timestamp_ms, reason)
        self._drop(unfinished, reason)
        self.drop_frames(reason)

    def fail_all(self, error: Exception) -> None:
        """End the frames that wait or are in work with an error."""
        for frame in [*self._unfinished(), *self._policy.clear()]:
            self._fail(TrackingFailure(error, frame.frame_id, frame.timestamp_ms))

    def discard_notices(self) -> None:
        """Give up telling; all frames must have ended."""
        for _ in range(self._outbox.ended_frames):
            self.recorder.add_unreported()
        self._outbox.clear()
        self._end = None

    def start_afresh(self, recorder: StatsRecorder) -> None:
        """Begin with frame 0 at any time, as if newly made; no frame may wait or be in work."""
        self.recorder = recorder
        self._time.reset()
        self._next_id = 0
        self._gap = self._restart = False

    @property
    def _flush_is_due(self) -> bool:
        wanted = self._flush or self._end is not None
        return wanted and bool(self._held) and not self.has_frames

    def _unfinished(self) -> list[PendingFrame]:
        """Give up the frames that are held back or in work, and return them."""
        frames = list(self._held.values())
        if isinstance(self._busy, PendingFrame):
            frames.append(self._busy)
        self._held.clear()
        self._busy, self._flush = None, False
        return frames

    def _add_result(self, result: PoseResult) -> None:
        if self._held.pop(result.frame_id, None) is None:
            return  # its frame was dropped meanwhile
        self._outbox.put_result(result)
        if self._policy.drops and self._outbox.results > QUEUED_LATEST + self.work.lag_frames:
            oldest = self._outbox.take_oldest_result()
            self._end_as_drop(oldest.frame_id, oldest.timestamp_ms, DropReason.SLOW_CALLBACK)

    def _failed(self, job: Job, error: Exception) -> None:
        failed = [job] if isinstance(job, PendingFrame) else self._unfinished()
        for frame in failed:
            self._restart = self._restart or frame.afresh
            self._fail(TrackingFailure(error, frame.frame_id, frame.timestamp_ms))

    def _drop(self, frames: list[PendingFrame], reason: DropReason) -> None:
        for frame in frames:
            self._restart = self._restart or frame.afresh
            self._end_as_drop(frame.frame_id, frame.timestamp_ms, reason)

    def _end_as_drop(self, frame_id: int, timestamp_ms: float, reason: DropReason) -> None:
        self.recorder.add_drop(reason)
        self._put(FrameDrop(frame_id, timestamp_ms, reason))

    def _fail(self, failure: TrackingFailure) -> None:
        self.recorder.add_error()
        self._put(failure)

    def _put(self, notice: FrameDrop | TrackingFailure | StreamEvent) -> None:
        pushed_out = self._outbox.put(notice)
        if isinstance(pushed_out, (FrameDrop, TrackingFailure)):
            self.recorder.add_unreported()
