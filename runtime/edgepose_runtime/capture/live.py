"""Sources whose frames come whether they are asked for or not."""

from __future__ import annotations

import math
import os
import random
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as NotInTime

from edgepose_runtime.backoff import Backoff
from edgepose_runtime.capture.base import FrameSource, logger
from edgepose_runtime.capture.connections import Connection
from edgepose_runtime.capture.frame_buffer import End, FrameBuffer, TimedImage
from edgepose_runtime.capture.reader import Reader
from edgepose_runtime.capture.settings import LiveSettings
from edgepose_runtime.errors import SourceError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.redaction import redact
from edgepose_runtime.tensors import Array

# How often who iterates looks after a reader that delivers nothing.
_LOOK_S = 0.1
# Readers that hang in a call are left behind, but not ever more of them.
_MOST_HUNG = 3


class LiveSource(FrameSource):
    """A camera or stream, read by a thread of its own that keeps the newest frame.

    A frame that nobody took before the next one is skipped and counted. When the source fails or
    falls silent, LOST is published and it is opened again until it delivers: then RECONNECTED.
    No frame is made up in between.

    One thread iterates; any thread may close, and that takes at most ``close_timeout_s``: a read
    that does not return is left behind on its daemon thread, with a warning in the log.

    Args:
        name: what the source is called, without user name and password.
        connect: opens it; called on the reader's thread.
        settings: deadlines and reconnection.
        clock: seconds that only go forward; stamps the frames.
        randomness: numbers from 0 to 1 for the waits between attempts.
        wait: waits some seconds and returns whether the source was closed (default: it does).

    Raises:
        SourceError: it cannot be opened, or not in time.
    """

    is_live = True

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        *,
        settings: LiveSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        randomness: Callable[[], float] = random.random,
        wait: Callable[[float], bool] | None = None,
    ) -> None:
        super().__init__(redact(name))
        self._connect = connect
        self._settings = settings or LiveSettings()
        self._clock = clock
        self._wait = wait or self._closed.wait
        self._handover = FrameBuffer()
        self._backoff = Backoff(self._settings, randomness)
        self._lock = threading.Lock()
        self._released = False
        self._hung: list[Reader] = []
        # A source that is forgotten rather than closed stops too: its reader does not know it.
        weakref.finalize(self, self._closed.set)
        self._process = os.getpid()
        self._reader = self._start_reader(lost=False)
        if not self._settings.retry_first:
            self.fps = self._first_opening()

    @property
    def num_skipped(self) -> int:
        """How many frames were replaced by newer ones before anybody took them."""
        return self._handover.skipped

    @property
    def num_hung(self) -> int:
        """How many reads were left behind and have not returned yet."""
        with self._lock:
            return sum(reader.is_alive() for reader in self._hung)

    def stop(self) -> None:
        """Stop reading, without waiting for that; whoever iterates is woken."""
        if os.getpid() != self._process:  # no reader here, and locks that may be held for ever
            return
        with self._lock:
            self._closed.set()
        self._handover.close()

    def close(self) -> None:
        """Stop reading; whoever iterates is woken. A second call does nothing."""
        self.stop()
        if os.getpid() != self._process:
            return
        with self._lock:
            if self._released:
                return
            self._released = True
            reader = self._reader
        reader.join(self._settings.close_timeout_s)
        if reader.is_alive():
            with self._lock:
                self._leave_behind(reader)

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        while True:
            item = self._handover.take(_LOOK_S)
            if isinstance(item, TimedImage):
                yield item.image, item.timestamp_ms
            elif isinstance(item, StreamEvent):
                self._publish(item)
            elif isinstance(item, End):
                self._raise_if_failed(item)
                return
            else:
                self._look_after_reader()

    def _timestamp(self, given: float | None, last: float) -> float:
        """Never make up a time: a clock that is too coarse gives the next one there is."""
        return max(super()._timestamp(given, -math.inf), math.nextafter(last, math.inf))

    def _start_reader(self, *, lost: bool) -> Reader:
        reader = Reader(
            self.name,
            self._connect,
            self._handover,
            settings=self._settings,
            backoff=self._backoff,
            clock=self._clock,
            closed=self._closed,
            wait=self._wait,
            lost=lost,
        )
        self._handover.take_over(reader)
        reader.start()
        return reader

    def _first_opening(self) -> float | None:
        try:
            return self._reader.opened.result(self._settings.open_timeout_s)
        except NotInTime:
            reason = f"{self.name} did not open within {self._settings.open_timeout_s:g} s."
            self._reader.stop()
            self._leave_behind(self._reader)
            raise SourceError(reason) from None

    def _look_after_reader(self) -> None:
        if os.getpid() != self._process:
            raise SourceError(
                f"{self.name} was opened before this process was forked; open it again in here."
            )
        with self._lock:
            returned = self._reader in self._hung and not self._reader.is_alive()
            if not self.closed and (returned or self._reader.overdue):
                self._replace_reader()

    def _replace_reader(self) -> None:
        """Leave the reader behind, and start a new one unless too many hang already."""
        hung = self._reader
        if hung not in self._hung:
            hung.stop()
            self._leave_behind(hung)
            self._report_loss(hung)
            # A frame that it delivers after all would come after the loss.
            self._handover.take_over(None)
        self._hung = [reader for reader in self._hung if reader.is_alive()]
        if len(self._hung) < _MOST_HUNG:
            self._reader = self._start_reader(lost=True)

    def _report_loss(self, hung: Reader) -> None:
        if not hung.lost:
            detail = f"{self.name} delivered nothing in time."
            self._handover.put(hung, StreamEvent(EventKind.LOST, self._clock() * 1000, detail))

    def _leave_behind(self, reader: Reader) -> None:
        self._hung.append(reader)
        logger.warning("%s: a call does not return; its thread is left behind.", self.name)

    def _raise_if_failed(self, end: End) -> None:
        if end.error is not None:
            self._publish(StreamEvent(EventKind.ENDED, self._clock() * 1000, str(end.error)))
            raise end.error
