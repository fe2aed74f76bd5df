"""Timestamps of a stream: optional, and always after the one before."""

from __future__ import annotations

import math

from edgepose_runtime.errors import TimestampError

#: The least step between two times that are made up, in ms: what filters divide by.
_LEAST_STEP_MS = 1e-6


class StreamTime:
    """Says when each frame of a stream was taken, in ms.

    A frame without a timestamp gets one: the last one plus the time between the calls that
    brought the two, on a clock that never runs backwards. Checking and accepting are two steps,
    so that a frame which is refused for another reason leaves no trace. Not locked.
    """

    def __init__(self) -> None:
        self._last: float | None = None
        self._last_called = -math.inf

    def check(self, timestamp_ms: float | None, called: float) -> float:
        """Return the frame's timestamp.

        Args:
            timestamp_ms: the given one, in ms.
            called: when it was given, in seconds of the clock. Calls of several threads may come
                in another order than their frames: timestamps rise with the frames all the same.

        Raises:
            TimestampError: it is not a finite number, or not after the last one.
        """
        if timestamp_ms is None:
            return self._next_stamp(called)
        stamp = _finite(timestamp_ms)
        if self._last is not None and stamp <= self._last:
            raise TimestampError(
                f"The frame's timestamp {stamp} ms does not come after that of the last frame, "
                f"{self._last} ms; only this frame is refused. For a new stream call reset()."
            )
        return stamp

    def accept(self, stamp: float, called: float) -> None:
        """Take the timestamp of a frame, and the time of its call, as the last one."""
        self._last = stamp
        self._last_called = max(self._last_called, called)

    def reset(self) -> None:
        """Forget the last timestamp."""
        self._last = None
        self._last_called = -math.inf

    def _next_stamp(self, called: float) -> float:
        if self._last is None:
            return called * 1e3
        passed = (called - self._last_called) * 1e3
        least = max(self._last + _LEAST_STEP_MS, math.nextafter(self._last, math.inf))
        return max(self._last + passed, least)


def _finite(timestamp_ms: float) -> float:
    try:
        stamp = float(timestamp_ms)
    except (TypeError, ValueError, OverflowError):
        stamp = math.nan
    if not math.isfinite(stamp):
        raise TimestampError(
            f"A timestamp must be a finite number of milliseconds, got {timestamp_ms!r}; "
            "only this frame is refused."
        )
    return stamp
