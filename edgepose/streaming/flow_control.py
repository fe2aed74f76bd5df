"""Flow control: what becomes of a frame while an earlier one is in work.

Policies are plain objects with a clock of the caller's choice. None of them is locked.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError

Clock = Callable[[], float]

#: Frames that may wait under ``every-frame``: enough to read ahead, few enough for large frames.
QUEUED_FRAMES = 4
#: Under ``latest`` a frame that waited longer than this is too old to be worth the work.
MAX_AGE_MS = 500.0


class DropReason(str, Enum):
    """Why a frame was dropped."""

    SUPERSEDED = "superseded"
    """A newer frame came before this one's turn."""
    STALE = "stale"
    """It waited too long for its turn."""
    SLOW_CALLBACK = "slow_callback"
    """Its pose was ready, but ``on_result`` was still busy with too many earlier ones."""
    RESET = "reset"
    """The tracker was reset before the frame was done."""
    CLOSED = "closed"
    """The tracker was closed before the frame was done."""

    def __str__(self) -> str:
        return self.value


@dataclass(frozen=True, slots=True)
class FrameDrop:
    """A frame that was submitted and has no result.

    Attributes:
        frame_id: what ``submit()`` returned.
        timestamp_ms: when the frame was taken.
        reason: why it was dropped.
    """

    frame_id: int
    timestamp_ms: float
    reason: DropReason


@dataclass(frozen=True, slots=True, eq=False)
class PendingFrame:
    """A frame that waits for its turn.

    Attributes:
        frame_id: number of the frame in its stream.
        image: uint8 BGR (H, W, 3).
        timestamp_ms: when it was taken.
        roi: where to look, ``None`` to find and follow.
        afresh: it comes after a gap: the track before it is over.
        arrived: when ``submit()`` was called, before any wait for room, in seconds of the
            policy's clock.
    """

    frame_id: int
    image: NDArray[np.uint8]
    timestamp_ms: float
    roi: Any = None
    afresh: bool = False
    arrived: float = field(default_factory=time.monotonic)


class FlowPolicy(Protocol):
    """Holds the frames of one stream that wait, and decides which are worth the work.

    Attributes:
        drops: whether frames may be dropped while the stream runs; else senders have to wait.
    """

    drops: bool

    def __len__(self) -> int:
        """Return how many frames wait."""

    @property
    def has_room(self) -> bool:
        """Whether :meth:`put` may be called now."""

    def put(self, frame: PendingFrame) -> list[PendingFrame]:
        """Take a frame in; return those that it supersedes."""

    def take(self) -> tuple[PendingFrame | None, list[PendingFrame]]:
        """Return the frame whose turn it is, and those that have become too old."""

    def clear(self) -> list[PendingFrame]:
        """Let go of all frames and return them."""


class EveryFrame:
    """No frame is dropped: a sender waits until there is room.

    Args:
        capacity: how many frames may wait.
    """

    drops = False

    def __init__(self, capacity: int = QUEUED_FRAMES) -> None:
        self._capacity = capacity
        self._frames: deque[PendingFrame] = deque()

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def has_room(self) -> bool:
        """Whether fewer frames wait than may."""
        return len(self._frames) < self._capacity

    def put(self, frame: PendingFrame) -> list[PendingFrame]:
        """Take a frame in; none is superseded."""
        self._frames.append(frame)
        return []

    def take(self) -> tuple[PendingFrame | None, list[PendingFrame]]:
        """Return the oldest frame; none is too old."""
        return (self._frames.popleft() if self._frames else None), []

    def clear(self) -> list[PendingFrame]:
        """Let go of all frames."""
        frames = list(self._frames)
        self._frames.clear()
        return frames


class Latest:
    """The newest frame wins: one frame waits at most, and not for long.

    Args:
        max_age_ms: a frame that waited longer is not worth the work any more.
        clock: seconds that only go forward; the one that stamps ``PendingFrame.arrived``.
    """

    drops = True
    has_room = True

    def __init__(self, max_age_ms: float = MAX_AGE_MS, clock: Clock = time.monotonic) -> None:
        self._max_age = max_age_ms / 1e3
        self._clock = clock
        self._frame: PendingFrame | None = None

    def __len__(self) -> int:
        return 0 if self._frame is None else 1

    def put(self, frame: PendingFrame) -> list[PendingFrame]:
        """Take a frame in instead of the one that waits."""
        superseded = self.clear()
        self._frame = frame
        return superseded

    def take(self) -> tuple[PendingFrame | None, list[PendingFrame]]:
        """Return the frame that waits, unless it is too old."""
        frames = self.clear()
        if frames and self._clock() - frames[0].arrived > self._max_age:
            return None, frames
        return (frames[0] if frames else None), []

    def clear(self) -> list[PendingFrame]:
        """Let go of the frame that waits."""
        frames = [] if self._frame is None else [self._frame]
        self._frame = None
        return frames


_POLICIES: dict[str, Callable[[], FlowPolicy]] = {"every-frame": EveryFrame, "latest": Latest}


def make_policy(name: object) -> FlowPolicy:
    """Return a policy by its name.

    Raises:
        ConfigError: there is none of that name.
    """
    if not isinstance(name, str) or name not in _POLICIES:
        raise ConfigError(f"There is no policy {name!r}; choose one of {', '.join(_POLICIES)}.")
    return _POLICIES[name]()
