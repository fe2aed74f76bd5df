"""The work that one frame takes: the stream's step, with the effort that the deadline allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from edgepose.deadline import Deadline, Effort
from edgepose.flow import PendingFrame
from edgepose.results import PoseResult
from edgepose.stats import TOTAL, StageClock
from edgepose.stream import PoseStream

#: The stage that stands for the wait before the work.
QUEUE = "queue"
_HEAVY = ("head", "search")


class FrameWork:
    """Tracks the frames of one stream, one at a time. Not locked.

    Attributes:
        waiting_counts: the deadline includes the wait before the work. Where every frame counts
            it does not: the queue is full on purpose, and no cheaper step would empty it.

    Args:
        stream: its state.
        deadline_ms: for each frame, from ``submit()`` on; ``None`` to do all that is due.
        clock: seconds that only go forward; the one that stamps ``PendingFrame.arrived``.
    """

    def __init__(
        self,
        stream: PoseStream,
        deadline_ms: float | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self.waiting_counts = True
        self._deadline = None if deadline_ms is None else Deadline(deadline_ms)
        self._clock = clock

    def __call__(self, frame: PendingFrame) -> PoseResult:
        """Track a frame that waited; the result's latency has the wait, outside of the total."""
        waited = (self._clock() - frame.arrived) * 1e3
        result = self.track(frame, waited)
        return replace(result, latency={QUEUE: waited, **result.latency})

    def track(self, frame: PendingFrame, waited_ms: float = 0.0) -> PoseResult:
        """Track a frame.

        Raises:
            RoiError: the roi is no region of the frame.
            InferenceError: a network failed.
        """
        if frame.afresh:
            self.stream.reset()
        clock = StageClock()
        effort = self._effort(waited_ms if self.waiting_counts else 0.0)
        result = self.stream.process(
            frame.image, frame.frame_id, frame.timestamp_ms, frame.roi, clock, effort
        )
        if self._deadline is not None:
            self._deadline.observe(_effort_of(result, effort), result.latency[TOTAL])
        return result

    def _effort(self, waited_ms: float) -> Effort:
        if self._deadline is None:
            return Effort.FULL
        stream = self.stream
        return self._deadline.choose(
            waited_ms, tracking=stream.is_tracking, head_due=stream.head_is_due
        )


def _effort_of(result: PoseResult, effort: Effort) -> Effort:
    if effort is Effort.NONE:
        return Effort.NONE
    return Effort.FULL if any(stage in result.latency for stage in _HEAVY) else Effort.LIGHT
