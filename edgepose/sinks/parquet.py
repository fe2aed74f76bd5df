"""Results as Parquet."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from edgepose.pose_files.builder import TableBuilder
from edgepose.pose_files.parquet import arrow_table
from edgepose.pose_files.schema import pose_schema, require_pyarrow
from edgepose.results import PoseResult
from edgepose.utils.output_files import check_writable, path_beside
from edgepose.utils.synced_files import sync_file, sync_folder
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ClosedError, OutputError
from edgepose_runtime.files import as_path, shown
from edgepose_runtime.poses.skeletons import Skeleton

#: So many frames are in memory at most.
_FRAMES_PER_GROUP = 4096


class ParquetSink(Closable):
    """Writes one row per person and frame, and one for a frame without anybody.

    The file is written beside its place, and moved there as a whole, with all data on the disk,
    when the sink is closed. A killed process leaves what lay there before. An instance is also a
    function of one result, and so an ``on_result``. For one thread at a time.

    Args:
        path: the file; one that exists is replaced on closing.
        skeleton: names the joints.
        video: name of the video, for the column ``video``.
        metadata: what the file shall say of itself: plain values for JSON, such as the model.

    Raises:
        OutputError: the file cannot be written.
        BackendUnavailableError: pyarrow is not installed.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        skeleton: Skeleton,
        video: str,
        metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self._path = as_path(path)
        self._metadata = {"source": video, **(metadata or {})}
        self._skeleton, self._video = skeleton, video
        schema = pose_schema(skeleton, self._metadata)
        check_writable(self._path)
        self._beside = path_beside(self._path)
        self._rows = TableBuilder(skeleton, video)
        self._closed = False
        self._file, self._writer = _open_writer(self._beside, schema)

    def write(self, result: PoseResult) -> None:
        """Append a result.

        Raises:
            OutputError: the disk is full or gone. The file is given up.
            ClosedError: the sink was closed.
        """
        if self._closed:
            raise ClosedError(f"The file '{self._path}' was closed; open a new sink.")
        reason = result.reason or ""
        self._rows.add(result.frame_id, result.timestamp_ms, result.people, reason)
        if len(self._rows) >= _FRAMES_PER_GROUP:
            self._flush()

    def __call__(self, result: PoseResult) -> None:
        """Do the same as :meth:`write`."""
        self.write(result)

    def close(self) -> None:
        """Finish the file and move it to its place; a second call does nothing.

        Raises:
            OutputError: the disk is full or gone.
        """
        if self._closed:
            return
        self._flush()
        try:
            self._writer.close()
            sync_file(self._file)
            self._file.close()
            self._beside.replace(self._path)
            sync_folder(self._path.parent)
        except OSError as error:
            raise self._given_up(error) from error
        self._closed = True

    def discard(self) -> None:
        """Give the file up: nothing is moved to its place. After closing it does nothing."""
        if self._closed:
            return
        self._closed = True
        with suppress(OSError, ValueError):
            self._writer.close()
        with suppress(OSError):
            self._file.close()
        self._beside.unlink(missing_ok=True)

    def _flush(self) -> None:
        rows, self._rows = self._rows, TableBuilder(self._skeleton, self._video)
        try:
            self._writer.write_table(arrow_table(rows.table(), self._metadata))
        except OSError as error:
            raise self._given_up(error) from error

    def _given_up(self, error: OSError) -> OutputError:
        self.discard()
        return OutputError(f"Cannot write to '{shown(self._path)}': {error.strerror or error}.")


def _open_writer(path: Path, schema: Any) -> tuple[Any, Any]:
    pa = require_pyarrow()
    try:
        file = path.open("wb")
    except OSError as error:
        raise OutputError(f"Cannot write to '{shown(path)}': {error.strerror}.") from error
    return file, pa.parquet.ParquetWriter(file, schema, compression="zstd")
