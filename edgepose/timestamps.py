"""Timestamps of a stream: optional, and always after the one before."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

from edgepose_runtime.errors import TimestampError


class StreamTime:
    """Says when each frame of a stream was taken, in ms.

    A frame without a timestamp gets one: the last one plus the time that passed since, on a clock
    that never runs backwards. Checking and accepting are two steps, so that a frame which is
    refused for another reason leaves no trace. Not locked.

    Args:
        clock: seconds since some fixed moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: float | None = None
        self._last_clock_ms = 0.0

    def check(self, timestamp_ms: float | None) -> float:
        """Return the frame's timestamp.

        Raises:
            TimestampError: it is not a finite number, or not after the last one.
        """
        if timestamp_ms is None:
            return self._next_stamp()
        stamp = _finite(timestamp_ms)
        if self._last is not None and stamp <= self._last:
            raise TimestampError(
                f"The frame's timestamp {stamp:g} ms does not come after that of the last frame, "
                f"{self._last:g} ms; only this frame is refused. For a new stream call reset()."
            )
        return stamp

    def accept(self, stamp: float) -> None:
        """Take the timestamp of a frame that was tracked as the last one."""
        self._last = stamp
        self._last_clock_ms = self._now_ms()

    def reset(self) -> None:
        """Forget the last timestamp."""
        self._last = None

    def _next_stamp(self) -> float:
        if self._last is None:
            return self._now_ms()
        passed = self._now_ms() - self._last_clock_ms
        return max(self._last + passed, math.nextafter(self._last, math.inf))

    def _now_ms(self) -> float:
        return self._clock() * 1e3


def _finite(timestamp_ms: float) -> float:
    try:
        stamp = float(timestamp_ms)
    except (TypeError, ValueError):
        stamp = math.nan
    if not math.isfinite(stamp):
        raise TimestampError(
            f"A timestamp must be a finite number of milliseconds, got {timestamp_ms!r}; "
            "only this frame is refused."
        )
    return stamp
