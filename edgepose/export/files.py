"""Files and folders that an export writes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePath

from edgepose.pose_files.table import PoseTable
from edgepose.utils.output_files import AppendedFile


def write_file(path: Path, content: bytes) -> None:
    """Write a file as a whole.

    Raises:
        OutputError: it cannot be written.
    """
    file = AppendedFile(path)
    try:
        file.append(content)
    finally:
        file.close()


def file_stem(video: str) -> str:
    """Return a name for files of a video: its path without the ending, ``/`` as ``-``."""
    path = PurePath(video)
    parts = [part for part in (*path.parts[:-1], path.stem) if part not in ("/", "..", path.anchor)]
    return "-".join(parts) or "video"


def by_video(table: PoseTable) -> Iterator[tuple[str, PoseTable]]:
    """Yield the name for files of each video, and its poses."""
    for name in table.videos:
        yield file_stem(name), table.of_video(name)
