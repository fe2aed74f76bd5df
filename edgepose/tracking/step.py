"""The work that one frame takes: the stream's step, with the effort that the deadline allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from edgepose.refinement.base import Refiner, Seen
from edgepose.remote import HeadLink
from edgepose.results import Origin, PoseResult
from edgepose.stats import TOTAL, StageClock
from edgepose.streaming.flow_control import PendingFrame
from edgepose.tracking.deadline import Deadline, Effort
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.events import StreamEvent

#: The stage that stands for the wait before the work.
QUEUE = "queue"
_HEAVY = ("head", "search")


class FrameWork:
    """Tracks the frames of one stream, one at a time. Not locked.

    Attributes:
        waiting_counts: the deadline includes the wait before the work. Where every frame counts
            it does not: the queue is full on purpose, and no cheaper step would empty it.
        at_work: entered around all work, where networks are shared.
        tell: what to call with events of the remote head, where frames wait.

    Args:
        stream: its state.
        deadline_ms: for each frame, from ``submit()`` on; ``None`` to do all that is due.
        refiner: improves the results, ``None`` for nothing.
        head: the remote head of the stream, if it has one.
        clock: seconds that only go forward; the one that stamps ``PendingFrame.arrived``.
    """

    def __init__(
        self,
        stream: PoseStream,
        deadline_ms: float | None,
        refiner: Refiner | None = None,
        head: HeadLink | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.waiting_counts = True
        self.at_work: Callable[[], AbstractContextManager[None]] = nullcontext
        self.tell: Callable[[StreamEvent], object] = lambda _: None
        self._deadline = None if deadline_ms is None else Deadline(deadline_ms)
        self._refiner = refiner
        self._head = head
        self._clock = clock

    @property
    def lag_frames(self) -> int:
        """How many frames are held back at most."""
        return 0 if self._refiner is None else self._refiner.lag_frames

    def __call__(self, frame: PendingFrame) -> list[PoseResult]:
        """Track a frame that waited, and return the results that are final.

        The latency of a result has the wait before the work, outside of the total.
        """
        with self.at_work():
            waited = (self._clock() - frame.arrived) * 1e3
            result = self._track(frame, waited)
            # Not before: if this frame fails, the next one after the gap gives them out.
            held = self.flush() if frame.afresh else []
            for event in self.take_events(frame.timestamp_ms):
                self.tell(event)
            result = replace(result, latency={QUEUE: waited, **result.latency})
            return held + self._refined(frame, result)

    def track(self, frame: PendingFrame) -> PoseResult:
        """Track a frame that did not wait, where none is held back.

        Raises:
            RoiError: the roi is no region of the frame.
            InferenceError: a network failed.
        """
        (result,) = self._refined(frame, self._track(frame, 0.0))
        return result

    def flush(self) -> list[PoseResult]:
        """Return the results that are held back: what follows has nothing to do with them."""
        return [] if self._refiner is None else self._refiner.flush()

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to the remote head since the last frame."""
        return [] if self._head is None else self._head.take_events(timestamp_ms)

    def warmup(self) -> None:
        """Use every network and kernel once; the state stays as it is."""
        self.stream.warmup()
        if self._refiner is not None:
            self._refiner.warmup()

    def reset(self) -> None:
        """Forget the person, and the frames that are held back."""
        self.stream.reset()
        if self._refiner is not None:
            self._refiner.reset()

    def _track(self, frame: PendingFrame, waited_ms: float) -> PoseResult:
        if frame.afresh:
            self.stream.reset()
        clock = StageClock()
        effort = self._effort(waited_ms if self.waiting_counts else 0.0)
        result = self.stream.process(
            frame.image, frame.frame_id, frame.timestamp_ms, frame.roi, clock, effort
        )
        if self._deadline is not None:
            spent = _effort_of(result, effort)
            if spent is not None:
                self._deadline.observe(spent, result.latency[TOTAL])
        return result

    def _refined(self, frame: PendingFrame, result: PoseResult) -> list[PoseResult]:
        if self._refiner is None:
            return [result]
        return self._refiner.take(Seen(frame.image, result, self.stream.last_look))

    def _effort(self, waited_ms: float) -> Effort:
        if self._deadline is None:
            return Effort.FULL
        stream = self.stream
        return self._deadline.choose(
            waited_ms, tracking=stream.is_tracking, head_due=stream.head_is_due
        )


def _effort_of(result: PoseResult, effort: Effort) -> Effort | None:
    """Return what was done; ``None`` where more was allowed than the frame was worth."""
    if effort is Effort.NONE:
        return Effort.NONE
    if result.origin is Origin.PREDICTED:
        return None
    return Effort.FULL if any(stage in result.latency for stage in _HEAVY) else Effort.LIGHT
