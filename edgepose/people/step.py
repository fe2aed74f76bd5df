"""The step of one frame with several people, as much of it as the deadline allows."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from edgepose.inference.estimator import StageClock
from edgepose.people.schedule import LookBudget
from edgepose.people.settings import Follow
from edgepose.people.stream import PeopleStream
from edgepose.refinement.people import PeopleRefinement
from edgepose.refinement.thin_slicing import REFINE
from edgepose.remote import JoinedRequests
from edgepose.results import Person, PoseResult
from edgepose.tracking.frame import Frame
from edgepose.tracking.step import QUEUE
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.poses.skeletons import Skeleton

NOBODY = "no person found"


@dataclass(frozen=True, slots=True, eq=False)
class _TrackedPeople:
    """A frame, without the people in it: their poses may not be final yet."""

    frame_id: int
    timestamp_ms: float
    head_ages_ms: Mapping[int, float | None]
    events: list[StreamEvent] = field(default_factory=list)
    latency: dict[str, float] = field(default_factory=dict)


class PeopleStep:
    """Tracks the frames of one stream with several people, one at a time. Not locked.

    It does for them what :class:`~edgepose.tracking.step.TrackingStep` does for one person.

    Attributes:
        lag_frames: how many frames are held back at most, until everybody's pose is refined.

    Args:
        stream: its state.
        budget: how many people are processed per frame.
        follow: chooses the main person.
        skeleton: of the poses.
        lag_frames: of the refiners of people.
        requests: to a remote head; ``None`` for no such head.
        waiting_counts: see :class:`~edgepose.tracking.step.TrackingStep`, like the others.
        participating: entered around each step.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        stream: PeopleStream,
        budget: LookBudget,
        follow: Follow,
        skeleton: Skeleton,
        lag_frames: int = 0,
        requests: JoinedRequests | None = None,
        *,
        waiting_counts: bool = True,
        participating: Callable[[], AbstractContextManager[None]] = nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.stream = stream
        self._requests = requests
        self._budget = budget
        self._follow = follow
        self._skeleton = skeleton
        self.lag_frames = lag_frames
        self._refinement = PeopleRefinement[_TrackedPeople](lag_frames)
        self._waiting_counts = waiting_counts
        self._participating = participating
        self._clock = clock

    def run(self, frame: Frame) -> list[PoseResult | StreamEvent]:
        """Track a frame that waited in a queue.

        Returns:
            The frames that are final, in order: of each what happened to people, and its result.
        """
        with self._participating():
            waited = (self._clock() - frame.arrived) * 1e3
            late = waited if self._waiting_counts else 0.0
            return self._outcome(self._process(frame, late, {QUEUE: waited}))

    def track(self, frame: Frame) -> tuple[PoseResult, list[StreamEvent]]:
        """Track a frame that did not wait, where none is held back.

        Returns:
            Its result, and what happened to people.

        Raises:
            RoiError: the frame has a roi.
            InferenceError: a network failed.
        """
        ((tracked, people),) = self._process(frame, 0.0, {})
        return self._result(tracked, people), tracked.events

    def flush(self) -> list[PoseResult | StreamEvent]:
        """Return the results that are held back, and the events before them: none will follow."""
        return self._outcome(self._refinement.flush())

    def warmup(self) -> None:
        """Run every network and kernel once; the state stays as it is."""
        self.stream.warmup()

    def reset(self) -> None:
        """Forget everybody."""
        self.stream.reset()
        self._refinement.reset()

    def _process(
        self, frame: Frame, late_ms: float, waited: dict[str, float]
    ) -> list[tuple[_TrackedPeople, list[Person]]]:
        """Track a frame; return those that are final, with everybody in them."""
        clock = StageClock()
        detects = self.stream.detects(frame.timestamp_ms)
        allowance = self._budget.allowance(late_ms, detects=detects)
        people = self.stream.process(frame, clock, allowance)
        if self._requests is not None:
            self._requests.send()
        tracked = _TrackedPeople(frame.frame_id, frame.timestamp_ms, self.stream.head_ages_ms)
        final = self._refine(frame, tracked, people, clock)
        # Not before: if refinement fails, they come with the next frame.
        tracked.events.extend(self._take_events(frame.timestamp_ms))
        latency = clock.latency()
        self._budget.observe(latency, self.stream.looked, self.stream.heads)
        tracked.latency.update({**waited, **latency})
        return final

    def _refine(
        self, frame: Frame, tracked: _TrackedPeople, people: Sequence[Person], clock: StageClock
    ) -> list[tuple[_TrackedPeople, list[Person]]]:
        start, poses = time.perf_counter(), self.stream.refinable(frame)
        final = self._refinement.take(frame.frame_id, tracked, people, poses, restart=frame.restart)
        if poses:
            clock.add(REFINE, start)
        return final

    def _take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to people, and to a remote head."""
        requests = self._requests
        of_head = [] if requests is None else requests.take_events(timestamp_ms)
        return [*self.stream.take_events(), *of_head]

    def _outcome(
        self, final: Sequence[tuple[_TrackedPeople, list[Person]]]
    ) -> list[PoseResult | StreamEvent]:
        outcome: list[PoseResult | StreamEvent] = []
        for tracked, people in final:
            outcome += [*tracked.events, self._result(tracked, people)]
        return outcome

    def _result(self, tracked: _TrackedPeople, people: Sequence[Person]) -> PoseResult:
        main = self._main(people) if people else None
        return PoseResult(
            frame_id=tracked.frame_id,
            timestamp_ms=tracked.timestamp_ms,
            keypoints=None if main is None else main.keypoints,
            reason=NOBODY if main is None else None,
            roi=None if main is None else main.roi,
            origin=None if main is None else main.origin,
            key_frame_age=None if main is None else main.key_frame_age,
            latency=tracked.latency,
            skeleton=self._skeleton,
            head_age_ms=None if main is None else tracked.head_ages_ms.get(main.person_id),
            several=tuple(people),
        )

    def _main(self, people: Sequence[Person]) -> Person:
        main = self._follow(people)
        if not any(main is person for person in people):
            raise ConfigError(
                f"follow must return one of the people it is given; it returned {main!r}."
            )
        return main
