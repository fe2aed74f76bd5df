"""What every source of frames offers, and how frames get their times."""

from __future__ import annotations

import logging
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from threading import Event

from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ClosedError, ConfigError, SourceError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.tensors import Array

logger = logging.getLogger("edgepose_runtime.capture")

#: The frame rate of sources that do not know theirs.
DEFAULT_FPS = 30.0


@dataclass(frozen=True, slots=True)
class CapturedFrame:
    """One frame of a source.

    Attributes:
        frame_id: how many frames the source delivered before this one.
        image: usually uint8 BGR (H, W, 3); an iterable delivers whatever it was given. The array
            is the receiver's own.
        timestamp_ms: when it was taken, in milliseconds: of a live source when it arrived, on
            the clock of :func:`time.monotonic`; of any other counted from the source's beginning.
            Above that of the frame before.
    """

    frame_id: int
    image: Array
    timestamp_ms: float


class FrameSource(Closable):
    """Frames of a file, folder, camera or program, in order; iterate over it once.

    Use it in a ``with`` statement, or close it. One thread iterates; any thread may close or
    subscribe.

    A damaged part of a file does not end the iteration: all frames that decode are delivered, and
    then a :class:`SourceError` tells what is missing, unless ``allow_damaged`` is true.

    Attributes:
        name: the path, or what else the source is called.
        fps: frames per second, None where it is not known.
        num_frames: how many frames are announced, None where it is not known. It is an estimate:
            files hold frames that show nothing new, or announce more than they have.
        is_live: frames come whether they are asked for or not.
        problems: what was found damaged so far, a sentence each.
    """

    is_live = False

    def __init__(
        self,
        name: str,
        *,
        fps: float | None = None,
        num_frames: int | None = None,
        allow_damaged: bool = False,
    ) -> None:
        self.name = name
        self.fps = fps
        self.num_frames = num_frames
        self.problems: list[str] = []
        self._allow_damaged = allow_damaged
        self._closed = Event()
        self._listeners: list[Callable[[StreamEvent], None]] = []

    def subscribe(self, on_event: Callable[[StreamEvent], None]) -> None:
        """Have a function called with every event from now on.

        It is called on the thread that iterates, in order with the frames: what was delivered
        before a loss comes before LOST, and the first frame after it follows RECONNECTED. What it
        raises comes out of the iteration. Nobody calls it when the source is closed.
        """
        self._listeners.append(on_event)

    @property
    def interval_ms(self) -> float:
        """The time from one frame to the next, in milliseconds."""
        return 1000.0 / (self.fps or DEFAULT_FPS)

    def __iter__(self) -> Iterator[CapturedFrame]:
        """Deliver the frames.

        Raises:
            SourceError: at the end, if not one frame could be delivered or parts were damaged; a
                camera raises it when it stops.
            ClosedError: the source was closed before.
        """
        if self._closed.is_set():
            raise ClosedError(f"The source {self.name} was closed; open it again.")
        delivered, last = 0, -math.inf
        for image, timestamp in self._frames():
            last = self._timestamp(timestamp, last)
            yield CapturedFrame(delivered, image, last)
            delivered += 1
            if self._closed.is_set():
                return
        if not self._closed.is_set():
            self._publish(StreamEvent(EventKind.ENDED, max(last, 0.0)))
            self._finish(delivered)

    @property
    def closed(self) -> bool:
        """Whether the source was closed."""
        return self._closed.is_set()

    def stop(self) -> None:
        """Have an iteration end, without waiting; whoever iterates has to close it then."""
        self.close()

    def close(self) -> None:
        """Release the file or camera; an iteration ends at its next frame."""
        self._closed.set()

    def __repr__(self) -> str:
        state = "closed" if self.closed else "open"
        return f"<{type(self).__name__} {self.name}, {state}>"

    @abstractmethod
    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        """Yield images and, where the source knows them, their times in milliseconds."""

    def _timestamp(self, given: float | None, last: float) -> float:
        """Return the given time if it can be true, else one interval after the last."""
        if given is not None and math.isfinite(given) and given > last:
            return float(given)
        return 0.0 if last == -math.inf else last + self.interval_ms

    def _publish(self, event: StreamEvent) -> None:
        for listener in self._listeners:
            listener(event)

    def _finish(self, delivered: int) -> None:
        found = " ".join(self.problems)
        if not delivered:
            raise SourceError(f"{self.name} holds no frame that can be decoded. {found}".strip())
        if found and not self._allow_damaged:
            raise SourceError(f"{self.name} is damaged; {delivered} frames were delivered. {found}")
        for problem in self.problems:
            logger.warning("%s: %s", self.name, problem)


def require_fps(fps: float | None) -> None:
    """Refuse a frame rate that is not a finite number above 0, or None.

    Raises:
        ConfigError: it is something else.
    """
    if fps is not None and not (is_finite_number(fps) and fps > 0):
        raise ConfigError(f"fps must be a finite number above 0, or None; got {fps!r}.")
