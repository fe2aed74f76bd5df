"""From the thread that reads to the one that tracks: the newest frame, and every event."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from edgepose_runtime.events import StreamEvent
from edgepose_runtime.tensors import Array

# If nobody takes them, the oldest events go: a camera may come and go for weeks.
_MOST_EVENTS = 32


@dataclass(frozen=True, slots=True)
class TimedImage:
    """An image and when it arrived, in milliseconds."""

    image: Array
    timestamp_ms: float


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more will come, and what went wrong, if anything."""

    error: Exception | None = None


class FrameBuffer:
    """Holds at most one frame: a newer one takes the place of one that nobody took.

    Events keep their place among the frames. Only what the present owner puts counts, so that a
    reader which was given up cannot disturb its successor. Any thread may call anything.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._items: deque[TimedImage | StreamEvent] = deque()
        self._end: End | None = None
        self._owner: object = None
        self._skipped = 0

    @property
    def skipped(self) -> int:
        """How many frames were replaced before anybody took them."""
        return self._skipped

    def take_over(self, owner: object) -> None:
        """Listen to this owner alone from now on."""
        with self._changed:
            self._owner = owner

    def put(self, owner: object, item: TimedImage | StreamEvent) -> None:
        """Hand over a frame or an event."""
        with self._changed:
            if owner is not self._owner or self._end is not None:
                return
            self._make_room(item)
            self._items.append(item)
            self._changed.notify_all()

    def end(self, owner: object, error: Exception | None = None) -> None:
        """Say that nothing more will come; what lies here is delivered before that."""
        with self._changed:
            if owner is self._owner and self._end is None:
                self._end = End(error)
                self._changed.notify_all()

    def close(self) -> None:
        """Drop what lies here, refuse what comes, and wake whoever waits."""
        with self._changed:
            self._items.clear()
            self._end = End()
            self._changed.notify_all()

    def take(self, timeout_s: float) -> TimedImage | StreamEvent | End | None:
        """Return the next item, None if there was none within the time."""
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._end, timeout_s)
            return self._items.popleft() if self._items else self._end

    def _make_room(self, item: TimedImage | StreamEvent) -> None:
        kind = type(item)
        same = [index for index, other in enumerate(self._items) if type(other) is kind]
        if kind is TimedImage and same:
            del self._items[same[0]]
            self._skipped += 1
        elif len(same) >= _MOST_EVENTS:
            del self._items[same[0]]
