"""Poses from CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.pose_files.builder import PersonRow, TableBuilder, skeleton_of
from edgepose.pose_files.table import PoseTable
from edgepose.results import Origin, PersonState
from edgepose_runtime.errors import PoseFileError
from edgepose_runtime.files import shown

#: What every file has of a frame, before the joints.
COLUMNS = (
    "frame", "timestamp_ms", "origin", "reason", "key_frame_age",
    "roi_x", "roi_y", "roi_width", "roi_height",
)  # fmt: skip
#: What files of several people have besides.
PERSON_COLUMNS = ("person", "state")
_PARTS = ("x", "y", "score")


def read_csv(path: Path) -> PoseTable:
    """Read a file that :class:`edgepose.sinks.CsvSink` wrote.

    It does not name the video: the table has the name of the file in its place.

    Raises:
        PoseFileError: it cannot be read, or a row is damaged.
    """
    number = 1
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = csv.reader(file, strict=True)
            columns = _Columns(next(rows, []))
            collected = _Frames(TableBuilder(skeleton_of(columns.joints), path.stem))
            for number, row in enumerate(rows, start=2):  # noqa: B007 - named by the error
                collected.add(columns.named(row))
    except OSError as error:
        raise PoseFileError(f"'{shown(path)}' cannot be read: {error}.") from error
    except (PoseFileError, ValueError, csv.Error) as error:
        raise PoseFileError(
            f"Line {number} of '{shown(path)}' is damaged or cut off: {str(error).rstrip('.')}. "
            "Remove the line, or write the file again."
        ) from error
    return collected.table()


class _Columns:
    """The first line: which columns there are."""

    def __init__(self, names: Sequence[str]) -> None:
        several = tuple(names[len(COLUMNS) : len(COLUMNS) + 2]) == PERSON_COLUMNS
        self._names = (*COLUMNS, *(PERSON_COLUMNS if several else ()))
        rest = names[len(self._names) :]
        self.joints = [name.removesuffix("_x") for name in rest[::3]]
        wanted = [f"{joint}_{part}" for joint in self.joints for part in _PARTS]
        if not rest or tuple(names[: len(self._names)]) != self._names or list(rest) != wanted:
            raise PoseFileError(
                f"The first line must name the columns {', '.join(COLUMNS)} and three for each "
                f"joint; got {shown(','.join(names))}."
            )

    def named(self, row: Sequence[str]) -> tuple[dict[str, str], Sequence[str]]:
        """Return what a row says of a person by column, and the cells of the joints."""
        count = len(self._names)
        if len(row) != count + len(_PARTS) * len(self.joints):
            raise PoseFileError(
                f"It must have {count + len(_PARTS) * len(self.joints)} cells; got {len(row)}."
            )
        return dict(zip(self._names, row, strict=False)), row[count:]


class _Frames:
    """Puts the rows of one frame, a person each, together."""

    def __init__(self, builder: TableBuilder) -> None:
        self._builder = builder
        self._frame: tuple[int, float, str] | None = None
        self._people: list[PersonRow] = []

    def add(self, row: tuple[dict[str, str], Sequence[str]]) -> None:
        facts, joints = row
        frame = (int(facts["frame"]), float(facts["timestamp_ms"]), facts["reason"])
        person = [_person(facts, joints)] if facts["origin"] else []
        if frame != self._frame:
            self._finish()
            self._frame, self._people = frame, []
        self._people += person

    def table(self) -> PoseTable:
        self._finish()
        return self._builder.table()

    def _finish(self) -> None:
        if self._frame is not None:
            frame, timestamp_ms, reason = self._frame
            self._builder.add(frame, timestamp_ms, self._people, reason)


def _person(facts: dict[str, str], joints: Sequence[str]) -> PersonRow:
    age = facts["key_frame_age"]
    return PersonRow(
        person_id=int(facts.get("person") or 1),
        keypoints=_keypoints(joints),
        origin=Origin(facts["origin"]),
        roi=[float(facts[name]) for name in COLUMNS[-4:]],
        state=PersonState(facts.get("state") or PersonState.TRACKED),
        key_frame_age=int(age) if age else None,
    )


def _keypoints(cells: Sequence[str]) -> NDArray[np.float32]:
    return np.array([cell or "nan" for cell in cells], np.float32).reshape(-1, 3)
