"""Progress of long work: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TextIO

#: A line in a log every so many seconds.
SECONDS_BETWEEN_LINES = 5.0


class Progress(Protocol):
    """Told how far the work is."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Report that so many steps more are done, and what else is worth saying."""


@contextmanager
def show_progress(
    label: str,
    total: int | None,
    *,
    stream: TextIO | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Progress]:
    """Show the progress of the work in the ``with`` block.

    A terminal gets a bar (where the package rich is installed: ``pip install "edgepose[cli]"``),
    anything else a line every five seconds and one at the end.

    Args:
        label: what is being done.
        total: number of steps, ``None`` if nobody knows.
        stream: where to show it; standard error by default.
        clock: seconds, for the pace and for when a line is due.
    """
    stream = sys.stderr if stream is None else stream
    bar = _rich_bar(stream) if stream.isatty() else None
    if bar is not None:
        with bar:
            yield _BarProgress(bar, label, total)
        return
    lines = _LineProgress(label, total, stream, clock)
    try:
        yield lines
    finally:
        lines.finish()


class _BarProgress:
    def __init__(self, bar: Any, label: str, total: int | None) -> None:
        self._bar = bar
        self._task = bar.add_task(label, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._bar.update(self._task, advance=steps, note=note)


class _LineProgress:
    def __init__(
        self, label: str, total: int | None, stream: TextIO, clock: Callable[[], float]
    ) -> None:
        self._label, self._total, self._stream, self._clock = label, total, stream, clock
        self._start = self._last_line = clock()
        self._done = self._shown = 0
        self._note = ""

    def advance(self, steps: int = 1, note: str = "") -> None:
        self._done += steps
        self._note = note
        if self._clock() - self._last_line >= SECONDS_BETWEEN_LINES:
            self._write()

    def finish(self) -> None:
        if self._done > self._shown:
            self._write()

    def _write(self) -> None:
        now = self._clock()
        self._last_line, self._shown = now, self._done
        parts = [f"{self._label}: {self._done}{self._share()}"]
        if now > self._start:
            parts.append(f"{self._done / (now - self._start):.1f}/s")
        parts += [self._note] if self._note else []
        self._stream.write(", ".join(parts) + "\n")
        self._stream.flush()

    def _share(self) -> str:
        if not self._total:
            return ""
        return f"/{self._total} ({100 * self._done / self._total:.0f} %)"


def _rich_bar(stream: TextIO) -> Any | None:
    """Return a bar that is not started yet, or ``None`` without rich."""
    try:
        from rich import progress as rich_progress
        from rich.console import Console
    except ImportError:
        return None
    return rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[note]}"),
        rich_progress.TimeRemainingColumn(),
        console=Console(file=stream),
    )
