"""Reading files of poses, whatever their format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgepose.pose_files.csv import read_csv
from edgepose.pose_files.jsonl import read_jsonl
from edgepose.pose_files.parquet import read_parquet
from edgepose.pose_files.table import PoseTable, joined_tables
from edgepose_runtime.errors import PoseFileError
from edgepose_runtime.files import as_path, exists, shown

_PARQUET_MAGIC = b"PAR1"


def read_poses(path: str | Path) -> PoseTable:
    """Read the poses of a file or archive as arrays.

    The format is known by the content: JSON Lines (versions 1 and 2), CSV or Parquet. Of a folder,
    such as one of ``edgepose archive``, all Parquet files are read as one table, ordered by names
    of videos, frames and identities.

    Example:
        >>> with edgepose.PoseTracker() as tracker:
        ...     with edgepose.sinks.CsvSink("poses.csv", skeleton=tracker.skeleton) as sink:
        ...         for result in tracker.stream("samples/clips/balance.mp4"):
        ...             sink.write(result)
        >>> read_poses("poses.csv").keypoints.shape
        (100, 13, 3)

    Args:
        path: a file that a sink or ``edgepose archive`` wrote, or a folder of Parquet files.

    Raises:
        PoseFileError: there is nothing there, or a file is damaged or of another format.
        BackendUnavailableError: it is Parquet, and pyarrow is not installed.
        ConfigError: the files of a folder have different skeletons.
    """
    path = as_path(path)
    if not exists(path):
        raise PoseFileError(f"There is no file of poses '{shown(path)}'; check the path.")
    if path.is_dir():
        return _read_folder(path)
    return _reader(path)(path)


def pose_files(folder: Path) -> list[Path]:
    """Return the Parquet files in a folder and those below it, in order, temporary ones left out.

    Those in an archive's folder ``pieces``, which overlap each other, are left out, too.
    """
    found = sorted(folder.rglob("*.parquet"))
    return [path for path in found if _is_part(path.relative_to(folder))]


def _is_part(path: Path) -> bool:
    return path.parts[0] != "pieces" and not any(part.startswith(".") for part in path.parts)


def _read_folder(folder: Path) -> PoseTable:
    files = pose_files(folder)
    if not files:
        raise PoseFileError(
            f"The folder '{shown(folder)}' holds no Parquet file of poses; give the folder of an "
            "archive, or a file."
        )
    return joined_tables([read_parquet(file) for file in files]).ordered()


def _reader(path: Path) -> Callable[[Path], PoseTable]:
    try:
        with path.open("rb") as file:
            start = file.read(1024)
    except OSError as error:
        raise PoseFileError(f"'{shown(path)}' cannot be read: {error}.") from error
    if not start:
        raise PoseFileError(f"The file '{shown(path)}' is empty; it holds no poses.")
    if start.startswith(_PARQUET_MAGIC):
        return read_parquet
    if b"\0" in start:
        raise PoseFileError(
            f"'{shown(path)}' is no file of poses, but of another kind; give JSON Lines, CSV or "
            "Parquet that edgepose wrote."
        )
    return read_jsonl if start.lstrip().startswith(b"{") else read_csv
