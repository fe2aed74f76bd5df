"""Output files that are refused before the work starts, not after it."""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

from edgepose_runtime.errors import OutputError


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

    Raises:
        OutputError: the file cannot be written.
    """
    path = Path(path)
    existed = path.exists()
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
