"""What became of the requests to a remote head."""

from __future__ import annotations

import threading
from collections import Counter

from edgepose.stats import HeadStats, LateReason, Window


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
        """Count a request; return the token with which its end is counted."""
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
