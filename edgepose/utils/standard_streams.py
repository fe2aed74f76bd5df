"""Standard streams that are never a reason to stop: closed by ``2>&-``, or on a lost terminal."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO, cast

_LAST_STANDARD = 2


@contextmanager
def reliable_streams() -> Iterator[None]:
    """Let ``sys.stderr`` and ``sys.stdout`` exist, and the former take everything, in this block.

    Where they were closed, their numbers go to the null device: the next file that is opened would
    get them, and what libraries in C say would be written into results.
    """
    stdout, stderr = sys.stdout, sys.stderr
    if stdout is None or stderr is None:
        _open_missing_descriptors()
    with contextlib.ExitStack() as opened:
        if sys.stdout is None:
            sys.stdout = opened.enter_context(_null())
        sys.stderr = cast(
            TextIO, _TolerantStream(opened.enter_context(_null()) if stderr is None else stderr)
        )
        try:
            yield
        finally:
            sys.stdout, sys.stderr = stdout, stderr


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send to nobody what libraries write to standard error meanwhile. For short calls only."""
    try:
        kept = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    nobody = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nobody, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nobody)


class _TolerantStream:
    """A text stream that drops what cannot be written, as when its reader is gone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write what can be written."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass on what can be passed on."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _open_missing_descriptors() -> None:
    number = os.open(os.devnull, os.O_RDWR)
    while number <= _LAST_STANDARD:  # the lowest free number is taken
        number = os.open(os.devnull, os.O_RDWR)
    os.close(number)


def _null() -> TextIO:
    return Path(os.devnull).open("w", encoding="utf-8")
