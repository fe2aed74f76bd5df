"""Ctrl-C, SIGTERM and a lost terminal that let the step or frame in hand be finished."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

# SIGHUP comes when the terminal is closed; Windows has none.
_HANGUP = getattr(signal, "SIGHUP", None)
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *([] if _HANGUP is None else [_HANGUP]))
#: What shells add to the number of the signal that ended a program.
SIGNALLED = 128


class StopSignals:
    """Records SIGINT, SIGTERM and SIGHUP in its ``with`` block; a second one interrupts at once.

    Files can so be finished with whole frames in them, and runs with a checkpoint. Only the main
    thread can listen to signals; in others the block does nothing. A SIGHUP that is ignored, as
    ``nohup`` does, stays so.

    Args:
        message: what the first signal writes to the standard error; empty for nothing.

    Attributes:
        received: the first signal, None as long as there was none.
    """

    def __init__(self, message: str = "") -> None:
        self._message = message
        self._event = threading.Event()
        self._wake, self._left = threading.Event(), threading.Event()
        self._watchers: list[threading.Thread] = []
        self._before: dict[signal.Signals, Any] = {}
        self.received: signal.Signals | None = None

    @property
    def stopped(self) -> bool:
        """Whether the work should end."""
        return self._event.is_set()

    def stop(self) -> None:
        """Say so from the program."""
        self._event.set()
        self._wake.set()

    def call_when_stopped(self, function: Callable[[], None]) -> None:
        """Have a function called at the first signal, such as one that wakes who waits for frames.

        It runs on a thread of its own: a signal interrupts the main thread anywhere, also where
        it holds the locks that the function needs. Not called after the ``with`` block.
        """

        def watch() -> None:
            self._wake.wait()
            if not self._left.is_set():
                function()

        watcher = threading.Thread(target=watch, name="edgepose stop signal", daemon=True)
        self._watchers.append(watcher)
        watcher.start()

    def exit_code(self, *, is_live: bool) -> int:
        """Return the program's exit code: 0 where the work came to its end.

        A live source has no end of its own: SIGTERM, with which services are stopped, and a
        closed terminal are one. All else is 128 plus the signal's number, as in shells.
        """
        if not self.stopped:
            return 0
        if self.received is None:
            return 1
        return 0 if is_live and self.received != signal.SIGINT else SIGNALLED + self.received

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            listened = [number for number in _SIGNALS if not _is_ignored_hangup(number)]
            self._before = {number: signal.signal(number, self._note) for number in listened}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._left.set()
        self._wake.set()
        for watcher in self._watchers:
            watcher.join()

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - signal's signature
        if self.stopped:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        self.stop()
        sys.stderr.write(self._message)


def _is_ignored_hangup(number: signal.Signals) -> bool:
    return number == _HANGUP and signal.getsignal(number) == signal.SIG_IGN


def ignore_signals(worker: int) -> None:  # noqa: ARG001 - DataLoader's signature
    """Make a process that prepares batches ignore Ctrl-C, which a terminal sends to all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def ignore_stop_signals(worker: int) -> None:
    """Make it ignore SIGTERM, too, which ``torchrun`` sends to every process of a run."""
    ignore_signals(worker)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
