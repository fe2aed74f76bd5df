"""Results as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgepose.pose_files.csv import COLUMNS, PERSON_COLUMNS
from edgepose.results import Person, PoseResult
from edgepose.sinks.lines import LineSink
from edgepose_runtime.poses.skeletons import Skeleton


class CsvSink(LineSink):
    """Writes a row of names, then one row per result, each on disk before the call returns.

    Of several people it writes a row per person, whose identity is in the column ``person``, and
    for a frame without anybody one row with the reason.

    A joint has three columns, such as ``head_x``, ``head_y`` (pixels of the frame, rounded to
    0.001) and ``head_score``. What is not there is an empty cell: the coordinates of a joint that
    was not seen, and all joints of a frame without a pose, whose ``reason`` says why.

    Args:
        path: the file; one that exists is replaced. Or an open binary stream, which stays open.
        skeleton: names the joints, so that the columns do not depend on the first frame.
        several: write a row per person; otherwise a row per frame, of several people with the main
            one.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self, path: str | Path | BinaryIO, *, skeleton: Skeleton, several: bool = False
    ) -> None:
        self._several = several
        self._num_joints = skeleton.num_joints
        joints = (f"{name}_{part}" for name in skeleton.joints for part in ("x", "y", "score"))
        person = PERSON_COLUMNS if several else ()
        super().__init__(path, _row([*COLUMNS, *person, *joints]))

    def write(self, result: PoseResult) -> None:
        """Append a result; see :meth:`LineSink.write`."""
        if self._several and result.people:
            rows = [self._person_cells(result, person) for person in result.people]
        else:
            rows = [self._result_cells(result)]
        self._file.append(b"".join(map(_row, rows)))

    def _person_cells(self, result: PoseResult, person: Person) -> list[object]:
        facts = [result.frame_id, _number(result.timestamp_ms), person.origin, None]
        roi = [_number(value) for value in person.roi]
        who = [person.person_id, person.state]
        return [*facts, person.key_frame_age, *roi, *who, *self._joint_cells(person.keypoints)]

    def _result_cells(self, result: PoseResult) -> list[object]:
        facts = [result.frame_id, _number(result.timestamp_ms), result.origin, result.reason]
        roi = [None] * 4 if result.roi is None else [_number(value) for value in result.roi]
        who = [None, None] if self._several else []
        return [*facts, result.key_frame_age, *roi, *who, *self._joint_cells(result.keypoints)]

    def _joint_cells(self, keypoints: NDArray[np.float32] | None) -> list[float | None]:
        if keypoints is None:
            return [None] * (3 * self._num_joints)
        return [_number(value) for value in keypoints.astype(float).ravel().tolist()]


def _row(cells: Iterable[object]) -> bytes:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(cells)
    return row.getvalue().encode()


def _number(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None
