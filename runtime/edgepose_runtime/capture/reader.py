"""The thread that reads a live source, and opens it again when it fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from edgepose_runtime.backoff import Backoff
from edgepose_runtime.capture.connections import Connection
from edgepose_runtime.capture.frame_buffer import FrameBuffer, TimedImage
from edgepose_runtime.capture.settings import LiveSettings
from edgepose_runtime.errors import SourceError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.redaction import redact

_T = TypeVar("_T")

# A damaged picture reads like a camera that is gone; only several in a row are a loss.
_FAILED_READS = 8


class Reader(threading.Thread):
    """Reads until it is stopped; nobody else touches the connection.

    What it calls may block for ever: :attr:`overdue` tells, and then it is left behind. Its state
    belongs to this thread; ``stop()``, ``overdue`` and ``lost`` are for any thread.

    Args:
        name: the source, without secrets.
        connect: opens the source.
        frame_buffer: takes frames and events.
        settings: deadlines and attempts.
        backoff: waits between attempts; shared with the reader's predecessors.
        clock: seconds that only go forward.
        closed: set when the source is closed.
        wait: waits some seconds, and returns whether the source was closed meanwhile.
        lost: whether this reader begins with a source that was lost already.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[], Connection],
        frame_buffer: FrameBuffer,
        *,
        settings: LiveSettings,
        backoff: Backoff,
        clock: Callable[[], float],
        closed: threading.Event,
        wait: Callable[[float], bool],
        lost: bool,
    ) -> None:
        super().__init__(name=f"edgepose reader of {name}", daemon=True)
        self.opened: Future[float | None] = Future()
        self.lost = lost
        self._source = name
        self._connect = connect
        self._handover = frame_buffer
        self._settings = settings
        self._backoff = backoff
        self._clock = clock
        self._closed = closed
        self._wait = wait
        self._retries_first = lost or settings.retry_first
        self._stopped = threading.Event()
        self._deadline: float | None = None

    def stop(self) -> None:
        """Have it end when the call that it is in returns."""
        self._stopped.set()

    @property
    def stopped(self) -> bool:
        """Whether it was stopped, or its source closed."""
        return self._stopped.is_set() or self._closed.is_set()

    @property
    def overdue(self) -> bool:
        """Whether it waits for the source longer than it may."""
        deadline = self._deadline
        return deadline is not None and self._clock() > deadline

    def run(self) -> None:
        """Read until stopped, finished, or out of attempts."""
        try:
            self._run()
        except Exception as error:  # noqa: BLE001 - the thread's edge: it reaches who iterates
            self._fail(SourceError(f"{self._source} failed: {redact(str(error))}"))

    def _run(self) -> None:
        if self.lost and not self._pause("it was lost"):
            return
        while True:
            reason = self._read_once()
            if reason is None or not self._pause(reason):
                return

    def _pause(self, reason: str) -> bool:
        """Wait before the next attempt; return whether there is one."""
        if self.stopped:
            return False
        delay = self._backoff.next_delay_s()
        if delay is None:
            failures = self._backoff.failures
            self._fail(SourceError(f"{self._source} is gone after {failures} attempts: {reason}"))
            return False
        return not self._wait(delay) and not self.stopped

    def _read_once(self) -> str | None:
        """Open and read; return why it failed, None if that is all."""
        try:
            connection = self._guarded(self._connect, self._settings.open_timeout_s)
        except SourceError as error:
            if not (self.opened.done() or self._retries_first):
                self.opened.set_exception(error)
                return None
            self._lose(str(error))
            return str(error)
        try:
            if not self.opened.done():
                self.opened.set_result(connection.fps)
            return self._read_all(connection)
        finally:
            self._guarded(connection.close, self._settings.close_timeout_s)

    def _read_all(self, connection: Connection) -> str | None:
        failed, last = 0, self._clock()
        while not self.stopped:
            try:
                image = self._guarded(connection.read, self._settings.read_timeout_s)
            except SourceError as error:
                return self._lose(str(error))
            now = self._clock()
            if image is not None:
                self._deliver(TimedImage(image, now * 1000))
                failed, last = 0, now
                continue
            failed += 1
            if connection.finished:
                self._handover.end(self)
                return None
            if failed >= _FAILED_READS or now - last > self._settings.read_timeout_s:
                return self._lose(f"{self._source} stopped delivering frames.")
        return None

    def _guarded(self, call: Callable[[], _T], limit_s: float) -> _T:
        """Make a call that may block for ever, with the deadline where others see it."""
        self._deadline = self._clock() + limit_s
        try:
            return call()
        finally:
            self._deadline = None

    def _deliver(self, shot: TimedImage) -> None:
        if self.lost:
            self.lost = False
            self._event(EventKind.RECONNECTED, f"{self._source} delivers again.", shot.timestamp_ms)
        self._backoff.succeeded()
        self._handover.put(self, shot)

    def _lose(self, reason: str) -> str:
        if not self.lost and not self.stopped:
            self.lost = True
            self._event(EventKind.LOST, reason, self._clock() * 1000)
        return reason

    def _event(self, kind: EventKind, detail: str, timestamp_ms: float) -> None:
        self._handover.put(self, StreamEvent(kind, timestamp_ms, detail))

    def _fail(self, error: SourceError) -> None:
        if not self.opened.done():
            self.opened.set_exception(error)
        self._handover.end(self, error)
