"""One frame on its way through a tracker, and the numbers and times that frames get."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import TimestampError
from edgepose_runtime.geometry.roi import RoiLike

Image = NDArray[np.uint8]

#: The least step between two times that are made up, in ms: what filters divide by.
_LEAST_STEP_MS = 1e-6


@dataclass(frozen=True, slots=True)
class StreamTime:
    """The time of a stream's last frame, from which that of the next one follows.

    A frame without a timestamp gets one: the last one plus the time between the calls that
    brought the two, on a clock that never runs backwards.

    Attributes:
        last_ms: timestamp of the last frame, ``None`` before the first.
        last_called: when the latest frame was submitted, in seconds of the clock.
    """

    last_ms: float | None = None
    last_called: float = -math.inf

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
        if self.last_ms is not None and stamp <= self.last_ms:
            raise TimestampError(
                f"The frame's timestamp {stamp} ms does not come after that of the last frame, "
                f"{self.last_ms} ms; only this frame is refused. For a new stream call reset()."
            )
        return stamp

    def after(self, stamp: float, called: float) -> StreamTime:
        """Return the time after a frame with this timestamp and time of its call."""
        return StreamTime(stamp, max(self.last_called, called))

    def _next_stamp(self, called: float) -> float:
        if self.last_ms is None:
            return called * 1e3
        passed = (called - self.last_called) * 1e3
        least = max(self.last_ms + _LEAST_STEP_MS, math.nextafter(self.last_ms, math.inf))
        return max(self.last_ms + passed, least)


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """A frame of a stream, made once when it is submitted and handed on whole.

    Attributes:
        frame_id: its number in the stream, from 0.
        image: uint8 BGR (H, W, 3), contiguous.
        timestamp_ms: when it was taken.
        roi: the region to process; ``None`` to find and follow the person.
        restart: it follows a gap in the source: tracking starts anew.
        arrived: when it was submitted, before any wait for room, in seconds of the monotonic
            clock.
        size: (width, height) in pixels.
    """

    frame_id: int
    image: Image
    timestamp_ms: float
    roi: RoiLike | None = None
    restart: bool = False
    arrived: float = field(default_factory=time.monotonic)
    size: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        height, width = self.image.shape[:2]
        object.__setattr__(self, "size", (width, height))


class FrameSequence:
    """Numbers and times the frames of one stream. Not locked."""

    def __init__(self) -> None:
        self._time = self._before = StreamTime()
        self._next_id = 0

    def create(
        self,
        image: Image,
        timestamp_ms: float | None,
        roi: RoiLike | None,
        called: float,
        *,
        restart: bool = False,
    ) -> Frame:
        """Return the next frame.

        Args:
            image: uint8 BGR (H, W, 3), contiguous.
            timestamp_ms: when it was taken, in ms; ``None`` for the time of the call.
            roi: the region to process.
            called: when it was submitted, in seconds of the monotonic clock.
            restart: it follows a gap in the source.

        Raises:
            TimestampError: the timestamp is not finite, or not after the last one.
        """
        stamp = self._time.check(timestamp_ms, called)
        frame = Frame(self._next_id, image, stamp, roi, restart, called)
        self._before, self._time = self._time, self._time.after(stamp, called)
        self._next_id += 1
        return frame

    def undo(self, frame: Frame | None) -> None:
        """Forget the frame that was created last, if it was: it is refused, and leaves no trace."""
        if frame is not None:
            self._time, self._next_id = self._before, frame.frame_id

    def reset(self) -> None:
        """Begin again with frame 0 at any time."""
        self._time = self._before = StreamTime()
        self._next_id = 0


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
