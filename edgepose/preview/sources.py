"""What is known of each source: counts, times, people, and whether frames come."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.redaction import printable, redact
from edgepose_runtime.text_enum import TextEnum

#: Upper bounds of the histograms of stage times, in seconds; one more bucket holds the rest.
BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
#: After so many seconds without a result a source counts as silent.
SILENT_AFTER_S = 1.5
#: Sources that are remembered.
MOST_SOURCES = 100
_EVENTS_KEPT = 50
_LATE_RESULTS_S = 5.0
_LONGEST_NAME = 120


class SourceState(TextEnum):
    """Whether frames of a source come."""

    WAITING = "waiting"
    """No frame came yet."""
    UP = "up"
    """Frames come."""
    SILENT = "silent"
    """Frames stopped coming, and nobody said why."""
    LOST = "lost"
    """The source was lost; it is being opened again."""
    ENDED = "ended"
    """There will be no more frames."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Times of a stage.

    Attributes:
        counts: frames for each of :data:`BUCKETS`, and for all; each holds those before it.
        total_s: sum of the times, in seconds.
    """

    counts: tuple[int, ...]
    total_s: float


@dataclass(frozen=True, slots=True)
class SourceSnapshot:
    """What is known of a source at a moment.

    Attributes:
        name: without user names, passwords and control characters.
        state: whether frames come.
        outcomes: frames by how they ended: ``pose``, ``no_person``, ``error`` or the reason of a
            drop.
        identities: of the people in the latest frame.
        stages: times by stage.
    """

    name: str
    state: SourceState
    outcomes: Mapping[str, int]
    identities: tuple[int, ...]
    stages: Mapping[str, Histogram]


class SourceMonitor:
    """Counts what happens to the frames of one source. Any thread may call; no call waits.

    Args:
        name: of the source.
        clock: seconds that only go forward.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = printable(redact(name), _LONGEST_NAME)
        self._clock = clock
        self._lock = threading.Lock()
        self._outcomes: Counter[str] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._identities: tuple[int, ...] = ()
        self._last_result_s: float | None = None
        self._lost = False
        self._ended_s: float | None = None
        self.events: deque[dict[str, Any]] = deque(maxlen=_EVENTS_KEPT)

    def add_result(self, result: PoseResult) -> None:
        """Count a result and its times."""
        with self._lock:
            self._outcomes["no_person" if result.origin is None else "pose"] += 1
            self._identities = tuple(person.person_id for person in result.people)
            self._last_result_s = now_s = self._clock()
            # Results of frames before the end may come after it; later ones are of a new source.
            if self._ended_s is not None and now_s - self._ended_s > _LATE_RESULTS_S:
                self._ended_s = None
            for stage, milliseconds in result.latency.items():
                self._add_time(stage, milliseconds / 1000)

    def add_drop(self, drop: FrameDrop) -> None:
        """Count a frame that was dropped."""
        with self._lock:
            self._outcomes[drop.reason.value] += 1

    def add_failure(self, failure: TrackingFailure) -> dict[str, Any]:
        """Count an error, and return what the page shows of it."""
        with self._lock:
            if failure.frame_id is not None and failure.callback is None:
                self._outcomes["error"] += 1
        return self._note("error", str(failure.error))

    def add_event(self, event: StreamEvent) -> dict[str, Any]:
        """Take note of an event, and return what the page shows of it."""
        with self._lock:
            if event.kind is EventKind.LOST:
                self._lost, self._identities = True, ()
            elif event.kind is EventKind.RECONNECTED:
                # Results will follow; until they do the source is neither lost nor silent.
                self._lost, self._last_result_s = False, self._clock()
            elif event.kind is EventKind.ENDED:
                self._ended_s, self._identities = self._clock(), ()
        person = f" (person {event.person_id})" if event.person_id is not None else ""
        return self._note(event.kind.value, f"{event.detail}{person}".strip())

    def snapshot(self) -> SourceSnapshot:
        """Return what is known now."""
        with self._lock:
            stages = {
                stage: Histogram(tuple(accumulate(counts)), self._sums[stage])
                for stage, counts in self._buckets.items()
            }
            state, outcomes = self._state(), dict(self._outcomes)
            return SourceSnapshot(self.name, state, outcomes, self._identities, stages)

    def _state(self) -> SourceState:
        if self._ended_s is not None:
            return SourceState.ENDED
        if self._lost:
            return SourceState.LOST
        if self._last_result_s is None:
            return SourceState.WAITING
        silent = self._clock() - self._last_result_s > SILENT_AFTER_S
        return SourceState.SILENT if silent else SourceState.UP

    def _add_time(self, stage: str, seconds: float) -> None:
        counts = self._buckets.setdefault(stage, [0] * (len(BUCKETS) + 1))
        counts[bisect_left(BUCKETS, seconds)] += 1
        self._sums[stage] += seconds

    def _note(self, kind: str, detail: str) -> dict[str, Any]:
        shown = {
            "source": self.name,
            "kind": kind,
            "detail": printable(redact(detail)),
            "time": time.time(),
        }
        self.events.append(shown)
        return shown


class SourceTable:
    """The monitors of all sources by name, in the order in which they came.

    Names that hold a password are found, and shown, without it. Memory is bounded: beyond
    :data:`MOST_SOURCES` the one that came first is forgotten, those that ended before others.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._monitors: dict[str, SourceMonitor] = {}
        self._shown: dict[str, str] = {}

    def monitor(self, source: str) -> SourceMonitor:
        """Return the monitor of a source, a new one if it was not known."""
        shown = self._shown.get(source)
        found = None if shown is None else self._monitors.get(shown)
        return found or self._add(source)

    def find(self, shown: str) -> SourceMonitor | None:
        """Return the monitor with a shown name, ``None`` if there is none."""
        return self._monitors.get(shown)

    def all(self) -> list[SourceMonitor]:
        """Return all monitors."""
        with self._lock:
            return list(self._monitors.values())

    def snapshots(self) -> list[SourceSnapshot]:
        """Return what is known of each source now."""
        return [monitor.snapshot() for monitor in self.all()]

    def _add(self, source: str) -> SourceMonitor:
        new = SourceMonitor(source, self._clock)
        with self._lock:
            if len(self._monitors) >= MOST_SOURCES:
                self._forget_one()
            self._shown[source] = new.name
            return self._monitors.setdefault(new.name, new)

    def _forget_one(self) -> None:
        ended = (
            name
            for name, monitor in self._monitors.items()
            if monitor.snapshot().state is SourceState.ENDED
        )
        gone = next(ended, next(iter(self._monitors)))
        del self._monitors[gone]
        self._shown = {source: shown for source, shown in self._shown.items() if shown != gone}
