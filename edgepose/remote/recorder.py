"""What became of the requests to a remote head."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from edgepose.stats import StageLatency, Window


class LateReason(str, Enum):
    """Why an answer was not merged."""

    TOO_LATE = "too_late"
    """The frame that it is about is not remembered any more."""
    TRACK_ENDED = "track_ended"
    """The person was lost, or the tracker reset, since that frame."""
    SUPERSEDED = "superseded"
    """The head's answer for a later frame was merged before."""
    MOVED = "moved"
    """Carried on, it shows a person elsewhere than the track."""
    UNSUPPORTED = "unsupported"
    """Carried on, it is less sure of the pose than the track."""
    FAILED = "failed"
    """It could not be carried on: a network failed or was closed."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class HeadStats:
    """A snapshot; ``requests == merged + sum(dropped) + sum(failed) + in_flight``.

    Attributes:
        state: of the connection: ``closed`` (in use), ``open`` (left alone), ``half_open``.
        requests: frames that the server was asked about, or was to be.
        merged: answers that took the track's place.
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


class HeadRecorder:
    """Counts; any thread may call."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget everything; requests that are under way are not counted any more."""
        with self._lock:
            self._requests = self._merged = self._frames_late = 0
            self._dropped: Counter[str] = Counter()
            self._failed: Counter[str] = Counter()
            self._latency = Window()
            self._era = object()

    def add_request(self) -> object:
        """Count a request; return what its end must be told with."""
        with self._lock:
            self._requests += 1
            return self._era

    def add_answer(self, era: object, milliseconds: float) -> None:
        """Take in how long an answer took."""
        with self._lock:
            if era is self._era:
                self._latency.add(milliseconds)

    def add_merged(self, era: object, frames_late: int) -> None:
        """Count an answer that took the track's place."""
        with self._lock:
            if era is self._era:
                self._merged += 1
                self._frames_late += frames_late

    def add_dropped(self, era: object, reason: LateReason) -> None:
        """Count an answer that did not."""
        with self._lock:
            if era is self._era:
                self._dropped[str(reason)] += 1

    def add_failed(self, era: object, fault: str) -> None:
        """Count a request without an answer."""
        with self._lock:
            if era is self._era:
                self._failed[fault] += 1

    def snapshot(self, state: str) -> HeadStats:
        """Return the counts up to now."""
        with self._lock:
            ended = self._merged + self._dropped.total() + self._failed.total()
            return HeadStats(
                state=state,
                requests=self._requests,
                merged=self._merged,
                dropped=dict(self._dropped),
                failed=dict(self._failed),
                in_flight=self._requests - ended,
                latency=self._latency.summary() if len(self._latency) else None,
                frames_late=self._frames_late / self._merged if self._merged else None,
            )
