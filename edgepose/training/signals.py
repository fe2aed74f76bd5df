"""Ctrl-C and SIGTERM that end a run with a checkpoint instead of in the middle of a step."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """Notes SIGINT and SIGTERM inside its ``with`` block; a second one interrupts at once.

    Only the main thread can listen to signals; in others the block does nothing.
    """

    def __init__(self) -> None:
        self._event = threading.Event()
        self._before: dict[signal.Signals, Any] = {}

    @property
    def stopped(self) -> bool:
        """Whether the run should end."""
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


def leave_signals_alone(worker: int) -> None:  # noqa: ARG001 - as DataLoader says
    """Make a process that prepares batches ignore Ctrl-C, which a terminal sends to all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
