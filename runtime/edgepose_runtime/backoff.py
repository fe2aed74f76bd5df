"""When to try again."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Protocol


class BackoffPolicy(Protocol):
    """How long to wait between attempts, in seconds, and how many there are."""

    @property
    def first_delay_s(self) -> float:
        """The first wait; each attempt doubles it."""

    @property
    def longest_delay_s(self) -> float:
        """The longest wait."""

    @property
    def attempts(self) -> int | None:
        """After how many attempts in a row to give up; ``None``: never."""


class Backoff:
    """Waits that double from attempt to attempt, each shortened at random by up to one half.

    Not locked.

    Args:
        settings: first and longest wait, and how many attempts there are.
        randomness: numbers from 0 to 1.
    """

    def __init__(
        self, settings: BackoffPolicy, randomness: Callable[[], float] = random.random
    ) -> None:
        self._settings = settings
        self._randomness = randomness
        self._failures = 0

    @property
    def failures(self) -> int:
        """How many attempts were begun since the last success."""
        return self._failures

    def next_delay_s(self) -> float | None:
        """Return the wait before the next attempt in seconds, None if all were used up."""
        limit = self._settings.attempts
        if limit is not None and self._failures >= limit:
            return None
        # 2 ** 60 is beyond any wait, and a float for sure.
        delay = self._settings.first_delay_s * 2.0 ** min(self._failures, 60)
        self._failures += 1
        return min(delay, self._settings.longest_delay_s) * (1 - self._randomness() / 2)

    def succeeded(self) -> None:
        """Begin again with the first wait."""
        self._failures = 0
