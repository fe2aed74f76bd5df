"""Output files that are refused before the work starts, not after it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

from edgepose_runtime.errors import ClosedError, OutputError


class AppendedFile:
    """A file that grows piece by piece: each is with the system, or gone, when the call returns.

    A killed process leaves all pieces that it wrote; a full disk leaves no half of one, except in
    a pipe. For one thread at a time.

    Args:
        path: the file; one that exists is replaced.

    Attributes:
        path: the file.
        size: how many bytes were appended.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.size = 0
        self._file = create_file(self.path)

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._file.closed

    def append(self, piece: bytes) -> None:
        """Write a piece at the end.

        Raises:
            OutputError: the disk is full or gone.
            ClosedError: the file was closed.
        """
        self.require_open()
        written = self._write(piece)
        if written != len(piece):
            self._take_back(written)
            raise OutputError(f"Cannot write to '{self.path}': the disk is full.")
        self.size += written

    def patch(self, position: int, piece: bytes) -> None:
        """Replace bytes that were written before.

        Raises:
            OutputError: the disk is gone.
            ClosedError: the file was closed.
        """
        self.require_open()
        self._file.seek(position)
        try:
            self._write(piece)
        finally:
            self._file.seek(self.size)

    def require_open(self) -> None:
        """Refuse to go on with a closed file.

        Raises:
            ClosedError: the file was closed.
        """
        if self.closed:
            raise ClosedError(f"The file '{self.path}' was closed; open a new sink.")

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    def _write(self, piece: bytes) -> int:
        try:
            return self._file.write(piece)
        except OSError as error:
            raise OutputError(f"Cannot write to '{self.path}': {error.strerror}.") from error

    def _take_back(self, written: int) -> None:
        """Remove the part of a piece that still fitted on the disk; a pipe keeps it."""
        with contextlib.suppress(OSError):
            self._file.seek(-written, os.SEEK_CUR)
            self._file.truncate()


def create_file(path: str | Path) -> BinaryIO:
    """Create or empty a file and return it opened, unbuffered.

    Without a buffer each write is one call to the system, so that neither a killed process nor an
    interrupt in the middle leaves half of it.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    try:
        return path.open("wb", buffering=0)
    except OSError as error:
        raise OutputError(f"Cannot write to '{path}': {_why(path, error)}.") from error


def check_writable(path: str | Path) -> None:
    """Refuse a path that :func:`create_file` could not write, without changing what is there.

    A named pipe is believed: opening it waits for its reader, and closing it sends that home.

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    existed = path.exists()
    if path.is_fifo():
        return
    try:
        path.open("ab").close()
    except OSError as error:
        raise OutputError(f"Cannot write to '{path}': {_why(path, error)}.") from error
    if not existed:
        path.unlink()


def _why(path: Path, error: OSError) -> str:
    if path.is_dir():
        return "it is a folder; give the name of a file"
    if not path.parent.is_dir():
        return f"there is no folder '{path.parent}'; create it first"
    return f"{error.strerror or error}"
