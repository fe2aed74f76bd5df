"""A circuit breaker: no requests to a failing server until a probe succeeds."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from edgepose_runtime.backends.triton.settings import BackoffSettings, ServerSettings
from edgepose_runtime.backoff import Backoff
from edgepose_runtime.text_enum import TextEnum


class BreakerState(TextEnum):
    """Whether requests go out."""

    CLOSED = "closed"
    """All do."""
    OPEN = "open"
    """None does: the server rests."""
    HALF_OPEN = "half_open"
    """One is on its way to see whether the server is back."""


class CircuitBreaker:
    """Counts failures in a row; any thread may call.

    Args:
        settings: how many failures, and how long the rests are.
        clock: seconds that only go forward.
        randomness: numbers from 0 to 1, which shorten the rests by up to one half.
    """

    def __init__(
        self,
        settings: ServerSettings,
        clock: Callable[[], float] = time.monotonic,
        randomness: Callable[[], float] = random.random,
    ) -> None:
        self._limit = settings.failures
        self._clock = clock
        self._rests = Backoff(
            BackoffSettings(settings.first_rest_s, settings.longest_rest_s), randomness
        )
        self._lock = threading.Lock()
        self._failures = 0
        self._state = BreakerState.CLOSED
        self._until = 0.0

    @property
    def state(self) -> BreakerState:
        """What becomes of requests."""
        return self._state

    @property
    def wants_probe(self) -> bool:
        """Whether the next request would be the one that finds out."""
        return self._state is BreakerState.OPEN and self._clock() >= self._until

    def admit(self) -> bool:
        """Return whether a request may go out; its end must be told."""
        with self._lock:
            if self.wants_probe:
                self._state = BreakerState.HALF_OPEN
                return True
            return self._state is BreakerState.CLOSED

    def succeeded(self) -> bool:
        """Take in a good answer; return whether the server was away before."""
        with self._lock:
            was_away = self._state is not BreakerState.CLOSED
            self._failures = 0
            self._rests.succeeded()
            self._state = BreakerState.CLOSED
            return was_away

    def failed(self) -> bool:
        """Take in a failure; return whether it is the one with which the server is away."""
        with self._lock:
            self._failures += 1
            probe = self._state is BreakerState.HALF_OPEN
            trips = self._state is BreakerState.CLOSED and self._failures >= self._limit
            if probe or trips:
                self._state = BreakerState.OPEN
                self._until = self._clock() + (self._rests.next_delay_s() or 0.0)
            return trips

    def withdrawn(self) -> None:
        """Take in that a request ended without saying anything of the server."""
        with self._lock:
            if self._state is BreakerState.HALF_OPEN:
                self._state = BreakerState.OPEN
