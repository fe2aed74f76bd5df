"""Flow control: what becomes of a frame while an earlier one is tracked.

Policies are plain objects with a clock of the caller's choice. None of them is locked.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Literal, Protocol

from edgepose.tracking.frame import Frame
from edgepose_runtime.errors import ConfigError

Clock = Callable[[], float]

#: Frames that may wait under ``every-frame``: enough to read ahead, few enough for large frames.
QUEUED_FRAMES = 4
#: Under ``latest`` a frame that waited longer than this is too old to be worth the work.
MAX_AGE_MS = 500.0


class FlowPolicy(Protocol):
    """Holds the frames of one stream that wait, and decides which are worth the work.

    Attributes:
        drops: whether frames may be dropped while the stream runs; else senders have to wait.
        frames: those that wait, to be read only.
    """

    drops: bool
    frames: deque[Frame]

    @property
    def has_room(self) -> bool:
        """Whether :meth:`put` may be called now."""

    def put(self, frame: Frame) -> list[Frame]:
        """Take a frame in; return those that it supersedes."""

    def take(self) -> tuple[Frame | None, list[Frame]]:
        """Return the frame whose turn it is, and those that have become too old."""

    def clear(self) -> list[Frame]:
        """Drop all frames and return them."""


class EveryFrame:
    """No frame is dropped: a sender waits until there is room.

    Args:
        capacity: how many frames may wait.
    """

    drops = False

    def __init__(self, capacity: int = QUEUED_FRAMES) -> None:
        self._capacity = capacity
        self.frames: deque[Frame] = deque()

    @property
    def has_room(self) -> bool:
        """Whether fewer frames wait than may."""
        return len(self.frames) < self._capacity

    def put(self, frame: Frame) -> list[Frame]:
        """Take a frame in; none is superseded."""
        self.frames.append(frame)
        return []

    def take(self) -> tuple[Frame | None, list[Frame]]:
        """Return the oldest frame; none is too old."""
        return (self.frames.popleft() if self.frames else None), []

    def clear(self) -> list[Frame]:
        """Drop all frames."""
        frames = list(self.frames)
        self.frames.clear()
        return frames


class Latest:
    """The newest frame wins: one frame waits at most, and not for long.

    Args:
        max_age_ms: a frame that waited longer is not worth the work any more.
        clock: seconds that only go forward; the one that stamps ``Frame.arrived``.
    """

    drops = True
    has_room = True

    def __init__(self, max_age_ms: float = MAX_AGE_MS, clock: Clock = time.monotonic) -> None:
        self._max_age = max_age_ms / 1e3
        self._clock = clock
        self.frames: deque[Frame] = deque()

    def put(self, frame: Frame) -> list[Frame]:
        """Take a frame in instead of the one that waits."""
        superseded = self.clear()
        self.frames.append(frame)
        return superseded

    def take(self) -> tuple[Frame | None, list[Frame]]:
        """Return the frame that waits, unless it is too old."""
        frames = self.clear()
        if frames and self._clock() - frames[0].arrived > self._max_age:
            return None, frames
        return (frames[0] if frames else None), []

    def clear(self) -> list[Frame]:
        """Drop the frame that waits."""
        frames = list(self.frames)
        self.frames.clear()
        return frames


#: What a policy is called.
PolicyName = Literal["every-frame", "latest"]
_POLICIES: dict[str, Callable[[], FlowPolicy]] = {"every-frame": EveryFrame, "latest": Latest}


def make_policy(name: object) -> FlowPolicy:
    """Return a policy by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if not isinstance(name, str) or name not in _POLICIES:
        raise ConfigError(f"There is no policy {name!r}; choose one of {', '.join(_POLICIES)}.")
    return _POLICIES[name]()
