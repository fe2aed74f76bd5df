"""The step of one frame with several people, as much of it as the deadline allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from edgepose.inference.estimator import StageClock
from edgepose.people.schedule import LookBudget
from edgepose.people.settings import Follow
from edgepose.people.stream import PeopleStream
from edgepose.results import Person, PoseResult
from edgepose.tracking.frame import Frame
from edgepose.tracking.step import QUEUE
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.poses.skeletons import Skeleton

NOBODY = "no person found"


class PeopleStep:
    """Tracks the frames of one stream with several people, one at a time. Not locked.

    It does for them what :class:`~edgepose.tracking.step.TrackingStep` does for one person.

    Attributes:
        lag_frames: 0: no frame is held back.

    Args:
        stream: its state.
        budget: how many people are processed per frame.
        follow: chooses the main person.
        skeleton: of the poses.
        waiting_counts: see :class:`~edgepose.tracking.step.TrackingStep`, like the others.
        participating: entered around each step.
        clock: seconds that only go forward.
    """

    lag_frames = 0

    def __init__(
        self,
        stream: PeopleStream,
        budget: LookBudget,
        follow: Follow,
        skeleton: Skeleton,
        *,
        waiting_counts: bool = True,
        participating: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self._budget = budget
        self._follow = follow
        self._skeleton = skeleton
        self._waiting_counts = waiting_counts
        self._participating = participating
        self._clock = clock

    def run(self, frame: Frame) -> list[PoseResult | StreamEvent]:
        """Track a frame that waited in a queue; return what happened to people, and its result."""
        with self._participating():
            waited = (self._clock() - frame.arrived) * 1e3
            result = self._process(frame, waited if self._waiting_counts else 0.0, waited)
            return [*self.stream.take_events(), result]

    def track(self, frame: Frame) -> tuple[PoseResult, list[StreamEvent]]:
        """Track a frame that did not wait.

        Returns:
            Its result, and what happened to people.

        Raises:
            RoiError: the frame has a roi.
            InferenceError: a network failed.
        """
        result = self._process(frame, 0.0, None)
        return result, self.stream.take_events()

    def flush(self) -> list[PoseResult]:
        """Return nothing: no frame is held back."""
        return []

    def warmup(self) -> None:
        """Run every network and kernel once; the state stays as it is."""
        self.stream.warmup()

    def reset(self) -> None:
        """Forget everybody."""
        self.stream.reset()

    def _process(self, frame: Frame, late_ms: float, waited_ms: float | None) -> PoseResult:
        clock = StageClock()
        detects = self.stream.detects(frame.timestamp_ms)
        looks = self._budget.looks(late_ms, detects=detects)
        people = self.stream.process(frame, clock, looks)
        latency = clock.latency()
        self._budget.observe(latency, self.stream.looked)
        if waited_ms is not None:
            latency = {QUEUE: waited_ms, **latency}
        return self._result(frame, people, latency)

    def _result(
        self, frame: Frame, people: Sequence[Person], latency: dict[str, float]
    ) -> PoseResult:
        main = self._main(people) if people else None
        return PoseResult(
            frame_id=frame.frame_id,
            timestamp_ms=frame.timestamp_ms,
            keypoints=None if main is None else main.keypoints,
            reason=NOBODY if main is None else None,
            roi=None if main is None else main.roi,
            origin=None if main is None else main.origin,
            key_frame_age=None if main is None else main.key_frame_age,
            latency=latency,
            skeleton=self._skeleton,
            several=tuple(people),
        )

    def _main(self, people: Sequence[Person]) -> Person:
        main = self._follow(people)
        if not any(main is person for person in people):
            raise ConfigError(
                f"follow must return one of the people it is given; it returned {main!r}."
            )
        return main
