"""Output files that are refused before the work starts, not after it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import BinaryIO

from edgepose_runtime.errors import ClosedError, ConfigError, OutputError
from edgepose_runtime.files import as_path, exists, shown

#: What the names of diagrams end in.
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")


class AppendedFile:
    """A file that grows piece by piece: each is with the system, or gone, when the call returns.

    What lies at the path stays until the first piece is written whole: a program that fails before
    it, or finds the disk full, destroys nothing. A killed process leaves all pieces that it wrote;
    a full disk leaves no half of one, except in a pipe. For one thread at a time.

    Args:
        path: the file; one that exists is replaced.
        head: what comes before the first piece, written together with it.

    Attributes:
        path: the file.
        size: how many bytes were appended, the head included.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, head: bytes = b"") -> None:
        self.path = as_path(path)
        check_writable(self.path)
        self.closed = False
        self.size = len(head)
        self._head = head
        self._file: BinaryIO | None = None

    def append(self, piece: bytes) -> None:
        """Write a piece at the end.

        Raises:
            OutputError: the disk is full or gone.
            ClosedError: the file was closed.
        """
        self.require_open()
        if self._file is None:
            self._file = self._begin(self._head + piece)
        else:
            self._write_whole(self._file, piece)
        self.size += len(piece)

    def patch(self, position: int, piece: bytes) -> None:
        """Replace bytes that were written before.

        Raises:
            OutputError: the disk is gone.
            ClosedError: the file was closed.
        """
        self.append(b"")
        file = self._file
        if file is not None:
            file.seek(position)
            try:
                self._write(file, piece)
            finally:
                file.seek(self.size)

    def require_open(self) -> None:
        """Refuse to go on with a closed file.

        Raises:
            ClosedError: the file was closed.
        """
        if self.closed:
            raise ClosedError(f"The file '{self.path}' was closed; open a new sink.")

    def close(self) -> None:
        """Close the file; a second call does nothing.

        Where nothing was appended, what lies at the path stays, and else the head is written.

        Raises:
            OutputError: the disk is full or gone.
        """
        if self.closed:
            return
        try:
            if self._file is None and self._head and not exists(self.path):
                self.append(b"")
        finally:
            self.closed = True
            if self._file is not None:
                self._file.close()

    def _begin(self, piece: bytes) -> BinaryIO:
        """Write the first piece beside the file, and put that in its place."""
        target = self.path.resolve()
        beside = path_beside(target)
        # Pipes and devices have no place to take, and Windows moves no file that is open.
        if os.name == "nt" or (exists(target) and not target.is_file()):
            return self._begin_in(target, piece)
        try:
            file = self._begin_in(beside, piece)
        except OutputError as error:
            if not isinstance(error.__cause__, PermissionError):
                raise
            return self._begin_in(target, piece)  # a folder in which only this file may change
        try:
            beside.replace(target)
        except OSError as error:
            file.close()
            beside.unlink(missing_ok=True)
            raise OutputError(f"Cannot write to '{self.path}': {error.strerror}.") from error
        return file

    def _begin_in(self, path: Path, piece: bytes) -> BinaryIO:
        file = create_file(path)
        try:
            self._write_whole(file, piece)
        except OutputError:
            file.close()
            if path.is_file() and path != self.path.resolve():
                path.unlink()
            raise
        return file

    def _write_whole(self, file: BinaryIO, piece: bytes) -> None:
        written = self._write(file, piece)
        if written != len(piece):
            _take_back(file, written)
            raise OutputError(f"Cannot write to '{self.path}': the disk is full.")

    def _write(self, file: BinaryIO, piece: bytes) -> int:
        try:
            return file.write(piece)
        except OSError as error:
            raise OutputError(f"Cannot write to '{self.path}': {error.strerror}.") from error


class AppendedStream:
    """An open binary stream, such as standard output, that grows piece by piece.

    It is left open. For one thread at a time.

    Args:
        stream: what to write to; flushed after each piece.
        head: what comes before the first piece, written together with it.
    """

    def __init__(self, stream: BinaryIO, head: bytes = b"") -> None:
        self.closed = False
        self._stream, self._head = stream, head
        self.size = len(head)

    def append(self, piece: bytes) -> None:
        """Write a piece at the end.

        Raises:
            OutputError: the disk is full, or nobody reads the pipe any more.
            ClosedError: this was closed.
        """
        if self.closed:
            raise ClosedError("The sink of this stream was closed; open a new sink.")
        rest, self._head = memoryview(self._head + piece), b""
        self.size += len(piece)
        try:
            while rest:  # an unbuffered stream may take a part
                rest = rest[self._stream.write(rest) :]
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise OutputError(f"Cannot write to the output stream: {error}.") from error

    def close(self) -> None:
        """Write the head where nothing was appended; a second call does nothing.

        Raises:
            OutputError: as by :meth:`append`.
        """
        if self.closed:
            return
        try:
            if self._head:
                self.append(b"")
        finally:
            self.closed = True


def _take_back(file: BinaryIO, written: int) -> None:
    """Remove the part of a piece that still fitted on the disk; a pipe keeps it."""
    with contextlib.suppress(OSError):
        file.seek(-written, os.SEEK_CUR)
        file.truncate()


def create_file(path: str | Path) -> BinaryIO:
    """Create or empty a file and return it opened, unbuffered.

    Without a buffer each write is one call to the system, so that neither a killed process nor an
    interrupt in the middle leaves half of it.

    Raises:
        OutputError: the file cannot be written.
    """
    path = as_path(path)
    try:
        return path.open("wb", buffering=0)
    except (OSError, ValueError) as error:
        raise OutputError(f"Cannot write to '{shown(path)}': {_why(path, error)}.") from error


def path_beside(path: Path) -> Path:
    """Return where this process writes a file before it moves it to its place."""
    return path.with_name(f".{path.name[:100]}.{os.getpid()}.part")


def make_folder(path: Path) -> None:
    """Create a folder and those above it, if they are not there.

    Raises:
        OutputError: it cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"Cannot create the folder '{shown(path)}': {reason}.") from error


def check_picture(path: Path) -> None:
    """Refuse a path for a diagram whose name does not end as one of a picture.

    Raises:
        ConfigError: so it is.
    """
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        endings = ", ".join(PICTURE_SUFFIXES)
        raise ConfigError(f"The picture '{shown(path)}' must have a name that ends in {endings}.")


def check_writable(path: str | Path) -> None:
    """Refuse a path that :func:`create_file` could not write, without changing what is there.

    A named pipe is believed: opening it waits for its reader, and closing it sends that home.

    Raises:
        OutputError: the file cannot be written.
    """
    path = as_path(path)
    existed = exists(path)
    if existed and path.is_fifo():
        return
    try:
        path.open("ab").close()
        if not existed:
            path.resolve().unlink()  # what a link leads to, and not the link
    except (OSError, ValueError) as error:
        raise OutputError(f"Cannot write to '{shown(path)}': {_why(path, error)}.") from error


def _why(path: Path, error: OSError | ValueError) -> str:
    if isinstance(error, ValueError):
        return "no file can have that name"
    if error.errno == errno.ENAMETOOLONG:
        return "the name is too long"
    if path.is_dir():
        return "it is a folder; give the name of a file"
    if not path.parent.is_dir():
        return f"there is no folder '{path.parent}'; create it first"
    return f"{error.strerror or error}"


def resolved(path: str | Path) -> Path:
    """Return a path without links, to be compared; one that no file can have, as it is."""
    try:
        return Path(path).resolve()
    except (OSError, RuntimeError, ValueError):
        return Path(path)


def is_folder(path: str | Path) -> bool:
    """Return whether a folder lies at a path; a name that no file can have is none."""
    return exists(Path(path)) and Path(path).is_dir()
