"""Ctrl-C and SIGTERM that let the step or frame in hand be finished."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Notes SIGINT and SIGTERM inside its ``with`` block; a second one interrupts at once.

    Files can so be finished with whole frames in them, and runs with a checkpoint. Only the main
    thread can listen to signals; in others the block does nothing.

    Args:
        message: what the first signal writes to the standard error; empty for nothing.
    """

    def __init__(self, message: str = "") -> None:
        self._message = message
        self._event = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    @property
    def stopped(self) -> bool:
        """Whether the work should end."""
        return self._event.is_set()

    def stop(self) -> None:
        """Say so from the program."""
        self._event.set()

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - as signal says
        if self.stopped:
            raise KeyboardInterrupt
        self.stop()
        sys.stderr.write(self._message)


def ignore_signals(worker: int) -> None:  # noqa: ARG001 - as DataLoader says
    """Make a process that prepares batches ignore Ctrl-C, which a terminal sends to all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
