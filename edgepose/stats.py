"""Latency and counts of a tracker, in bounded memory."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose.results import DropReason, PoseResult
from edgepose_runtime.text_enum import TextEnum

#: The stage that stands for the whole call.
TOTAL = "total"
#: Percentiles are over this many of the latest frames of a stage (32 kB each).
WINDOW = 4096
#: The first frames of a tracker that was not warmed up: kernels compile, networks allocate.
WARMUP_FRAMES = 3


@dataclass(frozen=True, slots=True)
class StageLatency:
    """What a stage takes: number of frames that had it, and percentiles in ms."""

    count: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, milliseconds: ArrayLike) -> StageLatency:
        """Return the figures of single measurements, at least one."""
        values = np.asarray(milliseconds, dtype=np.float64)
        p50, p95, p99 = np.percentile(values, (50, 95, 99)).tolist()
        return cls(values.size, p50, p95, p99)


class LateReason(TextEnum):
    """Why an answer was not merged."""

    TOO_LATE = "too_late"
    """The frame that it is about is not remembered any more."""
    TRACK_ENDED = "track_ended"
    """The person was lost, or the tracker reset, since that frame."""
    SUPERSEDED = "superseded"
    """The head's answer for a later frame was merged before."""
    MOVED = "moved"
    """Propagated to this frame, it shows a person elsewhere than the track."""
    UNSUPPORTED = "unsupported"
    """Propagated to this frame, it is less sure of the pose than the track."""
    FAILED = "failed"
    """It could not be propagated: a network failed or was closed."""


@dataclass(frozen=True, slots=True)
class HeadStats:
    """A snapshot; ``requests == merged + sum(dropped) + sum(failed) + in_flight``.

    Attributes:
        state: of the connection: ``closed`` (in use), ``open`` (a circuit breaker stops
            requests, with back-off), ``half_open`` (one request tests the server).
        requests: frames for which a request was sent, or should have been.
        merged: answers that replaced the track's pose.
        dropped: answers that did not, by :class:`LateReason`.
        failed: requests without an answer that can be used, by
            :class:`edgepose_runtime.errors.ServerFault`.
        in_flight: requests without an end yet.
        latency: from request to answer, in ms; ``None`` before the first answer.
        frames_late: by how many frames answers were late when merged, on average.
    """

    state: str
    requests: int
    merged: int
    dropped: Mapping[str, int]
    failed: Mapping[str, int]
    in_flight: int
    latency: StageLatency | None
    frames_late: float | None


@dataclass(frozen=True, slots=True)
class TrackerStats:
    """A snapshot of what a tracker did since it was made or reset.

    Each submitted frame ends as exactly one of a pose, a frame without a person, an error, or a
    drop: ``frames == poses + without_person + errors + sum(drops.values()) + pending``.

    Attributes:
        frames: frames submitted.
        poses: frames in which a person was tracked, and whose pose was returned, handed to the
            callback, or ready for the loop over a stream. A loop reads ahead: when it is left,
            the counts have up to two frames that it did not come to.
        without_person: the same for frames without a pose.
        errors: frames refused with an error.
        origins: poses by how they came about.
        latency: by stage, over the latest 4096 frames that had it, warm-up excluded.
        drops: dropped frames by reason.
        pending: frames that wait, are being tracked, or whose result waits for the callback.
        callback_errors: exceptions that callbacks raised.
        unreported: drops and errors that are counted above, but that were not
            reported to ``on_drop`` and ``on_error``, because a callback did not return in time.
        head: what became of the requests to a remote head; ``None`` without one.
        people: where several people are followed, what whole frames took by the number of people
            in them, over the latest 4096 frames of each number, warm-up excluded; else empty.
    """

    frames: int
    poses: int
    without_person: int
    errors: int
    origins: Mapping[str, int]
    latency: Mapping[str, StageLatency]
    drops: Mapping[str, int]
    pending: int
    callback_errors: int
    unreported: int
    head: HeadStats | None = None
    people: Mapping[int, StageLatency] = field(default_factory=dict)


class Window:
    """The latest values of a stage."""

    def __init__(self) -> None:
        self._values: NDArray[np.float64] = np.empty(WINDOW)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, WINDOW)

    def add(self, value: float) -> None:
        """Take in a value."""
        self._values[self._count % WINDOW] = value
        self._count += 1

    def summary(self) -> StageLatency:
        """Return the percentiles."""
        held = StageLatency.of(self._values[: len(self)])
        return replace(held, count=self._count)


class StatsRecorder:
    """Counts frames and keeps latencies. Any thread may call; no call waits for long."""

    def __init__(self, warmup_frames: int = WARMUP_FRAMES) -> None:
        self._lock = threading.RLock()
        self._warmup_left = warmup_frames
        self._counts: Counter[str] = Counter()
        self._drops: Counter[str] = Counter()
        self._origins: Counter[str] = Counter()
        self._windows: defaultdict[str, Window] = defaultdict(Window)
        self._people: defaultdict[int, Window] = defaultdict(Window)

    def warmed_up(self) -> None:
        """Measure from the next frame on."""
        with self._lock:
            self._warmup_left = 0

    def add_frame(self) -> None:
        """Count a frame that was submitted; it is pending until one of the others is called."""
        self._add("frames")

    def add_error(self) -> None:
        """Count a frame that was refused."""
        self._add("errors")

    def add_failed_frame(self) -> None:
        """Count a frame that was refused as it was submitted."""
        with self._lock:
            self._counts["frames"] += 1
            self._counts["errors"] += 1

    def add_tracked_frame(self, result: PoseResult) -> None:
        """Count a frame together with its result."""
        with self._lock:
            self._counts["frames"] += 1
            self.add_result(result)

    def add_drop(self, reason: DropReason) -> None:
        """Count a frame that was dropped."""
        with self._lock:
            self._drops[reason.value] += 1

    def add_callback_error(self) -> None:
        """Count an exception in a callback."""
        self._add("callback_errors")

    def add_unreported(self) -> None:
        """Count a drop or error that no callback will get."""
        self._add("unreported")

    def add_result(self, result: PoseResult) -> None:
        """Count a result and, once warm, its latencies."""
        with self._lock:
            if result.origin is None:
                self._counts["without_person"] += 1
            else:
                self._counts["poses"] += 1
                self._origins[result.origin.value] += 1
            if self._warmup_left:
                self._warmup_left -= 1
                return
            for stage, milliseconds in result.latency.items():
                self._windows[stage].add(milliseconds)
            if result.several is not None and TOTAL in result.latency:
                self._people[len(result.several)].add(result.latency[TOTAL])

    def snapshot(self) -> TrackerStats:
        """Return the counts and percentiles up to now."""
        with self._lock:
            counts = self._counts
            ended = counts["poses"] + counts["without_person"] + counts["errors"]
            return TrackerStats(
                frames=counts["frames"],
                poses=counts["poses"],
                without_person=counts["without_person"],
                errors=counts["errors"],
                origins=dict(self._origins),
                latency={stage: window.summary() for stage, window in self._windows.items()},
                drops=dict(self._drops),
                pending=counts["frames"] - ended - self._drops.total(),
                callback_errors=counts["callback_errors"],
                unreported=counts["unreported"],
                people={each: self._people[each].summary() for each in sorted(self._people)},
            )

    def _add(self, name: str) -> None:
        with self._lock:
            self._counts[name] += 1
