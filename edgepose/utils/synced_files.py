"""Files that are on the disk as a whole, also after a power failure, or are as they were."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

from edgepose.utils.output_files import path_beside
from edgepose_runtime.errors import OutputError
from edgepose_runtime.files import shown


def sync_file(file: IO[bytes]) -> None:
    """Wait until all that was written to an open file is on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder are on the disk; where the system cannot, do nothing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_synced(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there when all of it is on the disk.

    Raises:
        OutputError: the disk is full or gone. What lay at the path stays.
    """
    beside = path_beside(path)
    try:
        with beside.open("wb") as file:
            file.write(content)
            sync_file(file)
        beside.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise OutputError(f"Cannot write to '{shown(path)}': {error.strerror}.") from error
