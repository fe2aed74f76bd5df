"""Results as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from edgepose.results import PoseResult
from edgepose.sinks.lines import LineSink
from edgepose_runtime.poses.skeletons import Skeleton

_COLUMNS = (
    "frame", "timestamp_ms", "origin", "reason", "key_frame_age",
    "roi_x", "roi_y", "roi_width", "roi_height",
)  # fmt: skip


class CsvSink(LineSink):
    """Writes a row of names, then one row per result, each on disk before the call returns.

    A joint has three columns, such as ``head_x``, ``head_y`` (pixels of the frame, rounded to
    0.001) and ``head_score``. What is not there is an empty cell: the coordinates of a joint that
    was not seen, and all joints of a frame without a pose, whose ``reason`` says why.

    Args:
        path: the file; one that exists is replaced.
        skeleton: names the joints, so that the columns do not depend on the first frame.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(self, path: str | Path, *, skeleton: Skeleton) -> None:
        self._num_joints = skeleton.num_joints
        joints = (f"{name}_{part}" for name in skeleton.joints for part in ("x", "y", "score"))
        super().__init__(path, _row([*_COLUMNS, *joints]))

    def write(self, result: PoseResult) -> None:
        """Append a result; see :meth:`LineSink.write`."""
        facts = [
            result.frame_id,
            _number(result.timestamp_ms),
            result.origin,
            result.reason,
            result.key_frame_age,
        ]
        roi = [None] * 4 if result.roi is None else [_number(value) for value in result.roi]
        self._file.append(_row([*facts, *roi, *self._joint_cells(result)]))

    def _joint_cells(self, result: PoseResult) -> list[float | None]:
        if result.keypoints is None:
            return [None] * (3 * self._num_joints)
        return [_number(value) for value in result.keypoints.astype(float).ravel().tolist()]


def _row(cells: Iterable[object]) -> bytes:
    row = io.StringIO()
    csv.writer(row, lineterminator="\n").writerow(cells)
    return row.getvalue().encode()


def _number(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None
