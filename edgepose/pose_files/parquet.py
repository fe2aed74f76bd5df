"""Poses from and to Parquet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.pose_files.builder import skeleton_of
from edgepose.pose_files.schema import (
    COLUMNS,
    FORMAT,
    METADATA_KEY,
    VERSION,
    pose_schema,
    require_pyarrow,
)
from edgepose.pose_files.table import UNKNOWN_AGE, FrameTable, PoseTable
from edgepose.utils.synced_files import write_synced
from edgepose_runtime.errors import PoseFileError
from edgepose_runtime.files import shown
from edgepose_runtime.poses.skeletons import Skeleton


def read_parquet(path: Path) -> PoseTable:
    """Read a file that :class:`edgepose.sinks.ParquetSink` or ``edgepose archive`` wrote.

    Raises:
        PoseFileError: it cannot be read, is damaged or has other columns.
        BackendUnavailableError: pyarrow is not installed.
    """
    pa = require_pyarrow()
    try:
        # Not read_table(), which takes folder names such as "camera=1" for columns.
        with pa.parquet.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)  # indices and text, which damage may leave impossible
    except (OSError, ValueError, MemoryError, pa.ArrowException) as error:
        raise PoseFileError(
            f"'{shown(path)}' cannot be read as Parquet: {error}. It is damaged or cut off; write "
            "it again."
        ) from error
    metadata = file_metadata(table.schema.metadata, path)
    skeleton = skeleton_of(metadata.pop("joints"), metadata.pop("skeleton"))
    if not table.schema.equals(pose_schema(skeleton, {}), check_metadata=False):
        raise PoseFileError(
            f"'{shown(path)}' must have the columns {', '.join(COLUMNS)} with the types of "
            f"edgepose's files; got {', '.join(table.schema.names)}."
        )
    return _table(table, skeleton, metadata)


def file_metadata(metadata: Mapping[bytes, bytes] | None, path: Path) -> dict[str, Any]:
    """Return what a file says of itself, from the metadata of its schema.

    Raises:
        PoseFileError: it is no file of poses, or of a newer version.
    """
    try:
        about = json.loads((metadata or {})[METADATA_KEY])
        known = about.pop("format") == FORMAT
        version = int(about.pop("version"))
        joints = [str(joint) for joint in about["joints"]]
        about = {**about, "joints": joints, "skeleton": str(about["skeleton"])}
    except (LookupError, TypeError, ValueError, AttributeError):
        known, version = False, 0
    if not known or version > VERSION:
        raise PoseFileError(
            f"'{shown(path)}' is no Parquet file of poses with version {VERSION} of the format; "
            "give a file that edgepose wrote."
        )
    return dict(about)


def arrow_table(table: PoseTable, metadata: Mapping[str, Any]) -> Any:
    """Return a table of poses as a ``pyarrow.Table``, rows by video, frame and identity.

    Args:
        table: the poses; frames without a person have a row, too.
        metadata: for the file.
    """
    pa = require_pyarrow()
    frames, empty = table.frames, _without_people(table)
    people, total = len(table), len(table) + int(empty.sum())
    video = np.concatenate([table.video, frames.video[empty]])
    frame = np.concatenate([table.frame, frames.frame[empty]])
    nobody = np.arange(total) >= people
    names = np.array([*table.videos, ""], np.str_)
    columns = {
        "video": names[video],
        "frame": frame,
        "timestamp_ms": np.concatenate([table.timestamp_ms, frames.timestamp_ms[empty]]),
        "person_id": _padded(table.person_id, total),
        "origin": _padded(table.origin, total),
        "state": _padded(table.state, total),
        "score": _padded(table.score, total),
        "keypoints": _padded(table.keypoints.reshape(people, 3 * table.skeleton.num_joints), total),
        "roi": _padded(table.roi, total),
        "key_frame_age": _padded(table.key_frame_age, total),
        "reason": np.concatenate([np.zeros(people, "U1"), frames.reason[empty]]),
    }
    schema = pose_schema(table.skeleton, metadata)
    missing = {
        "video": None,
        "frame": None,
        "timestamp_ms": None,
        "key_frame_age": nobody | (columns["key_frame_age"] == UNKNOWN_AGE),
        "reason": columns["reason"] == "",
    }
    order = np.lexsort((columns["person_id"], frame, video))
    arrays = [
        _column(columns[name], missing.get(name, nobody), order, schema.field(name).type)
        for name in COLUMNS
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def write_parquet(path: Path, table: PoseTable, metadata: Mapping[str, Any]) -> None:
    """Write a table of poses to a file, whole or not at all.

    Raises:
        OutputError: the disk is full or gone. What lay at the path stays.
        BackendUnavailableError: pyarrow is not installed.
    """
    pa = require_pyarrow()
    sink = pa.BufferOutputStream()
    pa.parquet.write_table(arrow_table(table, metadata), sink, compression="zstd")
    write_synced(path, sink.getvalue().to_pybytes())


def _without_people(table: PoseTable) -> NDArray[np.bool_]:
    """Return which of the frames (M,) have no row of a person."""
    seen = set(zip(table.video.tolist(), table.frame.tolist(), strict=True))
    keys = zip(table.frames.video.tolist(), table.frames.frame.tolist(), strict=True)
    return np.array([key not in seen for key in keys], np.bool_)


def _padded(values: NDArray[Any], total: int) -> NDArray[Any]:
    rest = np.zeros((total - len(values), *values.shape[1:]), values.dtype)
    return np.concatenate([values, rest])


def _column(
    values: NDArray[Any], missing: NDArray[np.bool_] | None, order: NDArray[Any], kind: Any
) -> Any:
    pa = require_pyarrow()
    values, mask = values[order], None if missing is None else missing[order]
    if pa.types.is_fixed_size_list(kind):
        flat = pa.array(np.ascontiguousarray(values).reshape(-1), kind.value_type)
        nulls = None if mask is None else pa.array(mask)
        return pa.FixedSizeListArray.from_arrays(flat, type=kind, mask=nulls)
    if pa.types.is_dictionary(kind):
        return pa.array(values.tolist(), pa.string(), mask=mask).cast(kind)
    return pa.array(values, kind, mask=mask)


def _table(table: Any, skeleton: Skeleton, metadata: Mapping[str, Any]) -> PoseTable:
    """Return the arrays of a file whose columns are known to be right."""
    names = table["video"].cast("string").to_pylist()
    videos = tuple(dict.fromkeys(names))
    place = {name: index for index, name in enumerate(videos)}
    video = np.array([place[name] for name in names], np.int32)
    has_person = table["person_id"].is_valid()
    people = table.filter(has_person)
    return PoseTable(
        skeleton=skeleton,
        videos=videos,
        video=video[has_person.to_numpy()],
        frame=_numbers(people, "frame", np.int64),
        timestamp_ms=_numbers(people, "timestamp_ms", np.float64),
        person_id=_numbers(people, "person_id", np.int32),
        keypoints=_lists(people, "keypoints").reshape(-1, skeleton.num_joints, 3),
        score=_numbers(people, "score", np.float32),
        roi=_lists(people, "roi").reshape(-1, 4),
        origin=_words(people, "origin"),
        state=_words(people, "state"),
        key_frame_age=_numbers(people, "key_frame_age", np.int32, UNKNOWN_AGE),
        frames=_frames(table, video),
        metadata=metadata,
    )


def _frames(table: Any, video: NDArray[np.int32]) -> FrameTable:
    frame = _numbers(table, "frame", np.int64)
    # A frame has as many rows as people, which follow each other.
    same = (np.diff(video, prepend=-1) == 0) & (np.diff(frame, prepend=-1) == 0)
    first = np.flatnonzero(~same)
    return FrameTable(
        video=video[first],
        frame=frame[first],
        timestamp_ms=_numbers(table, "timestamp_ms", np.float64)[first],
        reason=_words(table, "reason")[first],
    )


def _numbers(table: Any, name: str, kind: Any, missing: int = 0) -> NDArray[Any]:
    values: NDArray[Any] = table[name].fill_null(missing).to_numpy().astype(kind)
    return values


def _lists(table: Any, name: str) -> NDArray[np.float32]:
    values = table[name].combine_chunks().flatten().fill_null(np.nan)
    numbers: NDArray[np.float32] = values.to_numpy(zero_copy_only=False).astype(np.float32)
    return numbers


def _words(table: Any, name: str) -> NDArray[np.str_]:
    return np.array(table[name].cast("string").fill_null("").to_pylist(), np.str_)
