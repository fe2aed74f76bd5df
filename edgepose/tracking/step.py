"""The step of one frame: tracking with the effort that the deadline allows, then refinement."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace

from edgepose.inference.estimator import StageClock
from edgepose.results import Origin, PoseResult
from edgepose.stats import TOTAL
from edgepose.tracking.deadline import Deadline, Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.strategies import Refiner, TrackedFrame
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.events import StreamEvent

#: The stage that stands for the wait before the step.
QUEUE = "queue"
_HEAVY = ("head", "search")


class NoRefinement:
    """Gives every result out at once, as it is."""

    lag_frames = 0

    def warmup(self) -> None:
        """Do nothing."""

    def take(self, tracked: TrackedFrame) -> list[PoseResult]:
        """Return the frame's result."""
        return [tracked.result]

    def flush(self) -> list[PoseResult]:
        """Return nothing: nothing is held back."""
        return []

    def reset(self) -> None:
        """Do nothing."""


class TrackingStep:
    """Tracks the frames of one stream, one at a time. Not locked.

    Args:
        stream: its state.
        deadline_ms: for each frame, from ``submit()`` on; ``None`` to do all that is due.
        refiner: improves the results; ``None`` for nothing.
        waiting_counts: the deadline includes the wait in the queue. Where every frame counts it
            does not: the queue is full on purpose, and no cheaper step would empty it.
        participating: entered around each step, where inferences of several streams are joined.
        clock: seconds that only go forward; the one that stamps ``Frame.arrived``.
    """

    def __init__(
        self,
        stream: PoseStream,
        deadline_ms: float | None = None,
        refiner: Refiner | None = None,
        *,
        waiting_counts: bool = True,
        participating: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self._refiner = refiner or NoRefinement()
        self.lag_frames = self._refiner.lag_frames
        self._deadline = None if deadline_ms is None else Deadline(deadline_ms)
        self._waiting_counts = waiting_counts
        self._participating = participating
        self._clock = clock

    def run(self, frame: Frame) -> list[PoseResult | StreamEvent]:
        """Track a frame that waited in a queue.

        Returns:
            The results that are final, in the order of their frames, after events of a remote
            head. The latency of a result has the wait, outside of the total.
        """
        with self._participating():
            waited = (self._clock() - frame.arrived) * 1e3
            result = self._process(frame, waited if self._waiting_counts else 0.0)
            # Not before: if this frame fails, the next one after the gap gives them out.
            held = self._refiner.flush() if frame.restart else []
            result = replace(result, latency={QUEUE: waited, **result.latency})
            tracked = TrackedFrame(frame.image, result, self.stream.last_observation)
            events = self.stream.take_events(frame.timestamp_ms)
            return [*events, *held, *self._refiner.take(tracked)]

    def track(self, frame: Frame) -> tuple[PoseResult, list[StreamEvent]]:
        """Track a frame that did not wait, where none is held back.

        Returns:
            Its result, and events of a remote head.

        Raises:
            RoiError: the roi is no region of the frame.
            InferenceError: a network failed.
        """
        result = self._process(frame, 0.0)
        tracked = TrackedFrame(frame.image, result, self.stream.last_observation)
        events = self.stream.take_events(frame.timestamp_ms)
        (result,) = self._refiner.take(tracked)
        return result, events

    def flush(self) -> list[PoseResult]:
        """Return the results that are held back: none will follow."""
        return self._refiner.flush()

    def warmup(self) -> None:
        """Run every network and kernel once; the state stays as it is."""
        self.stream.warmup()
        self._refiner.warmup()

    def reset(self) -> None:
        """Forget the person, and the frames that are held back."""
        self.stream.reset()
        self._refiner.reset()

    def _process(self, frame: Frame, waited_ms: float) -> PoseResult:
        if frame.restart:
            self.stream.reset()
        effort = self._choose(waited_ms)
        result = self.stream.process(frame, StageClock(), effort)
        if self._deadline is not None:
            spent = _effort_of(result, effort)
            if spent is not None:
                self._deadline.observe(spent, result.latency[TOTAL])
        return result

    def _choose(self, waited_ms: float) -> Effort:
        if self._deadline is None:
            return Effort.FULL
        stream = self.stream
        return self._deadline.choose(
            waited_ms, tracking=stream.head_age is not None, head_due=stream.head_is_due
        )


def _effort_of(result: PoseResult, effort: Effort) -> Effort | None:
    """Return what was done; ``None`` where more was allowed than the frame was worth."""
    if effort is Effort.SKIP:
        return Effort.SKIP
    if result.origin is Origin.PREDICTED:
        return None
    return Effort.FULL if any(stage in result.latency for stage in _HEAVY) else Effort.LIGHT
