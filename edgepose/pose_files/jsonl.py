"""Poses from JSON Lines, versions 1 and 2."""

from __future__ import annotations

import json
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.pose_files.builder import PersonRow, TableBuilder, skeleton_of
from edgepose.pose_files.table import PoseTable
from edgepose.results import Origin, PersonState
from edgepose_runtime.bundles.json_fields import JsonFields
from edgepose_runtime.errors import PoseFileError
from edgepose_runtime.files import shown
from edgepose_runtime.poses.skeletons import Skeleton

FORMAT = "edgepose.poses"
#: One person a line.
VERSION = 1
#: A list of people a line.
VERSION_OF_SEVERAL = 2

_ORIGINS = tuple(origin.value for origin in Origin)
_STATES = tuple(state.value for state in PersonState)
_JOINT_TYPES = {int, float, NoneType}


def read_jsonl(path: Path) -> PoseTable:
    """Read a file that :class:`edgepose.sinks.JsonlSink` wrote.

    Raises:
        PoseFileError: it cannot be read, or a line is damaged.
    """
    number = 1
    try:
        with path.open("rb") as file:
            header = _Header(_members(file.readline()))
            builder = TableBuilder(header.skeleton, header.source, header.metadata)
            for number, line in enumerate(file, start=2):  # noqa: B007 - named by the error
                header.add_line(_members(line), builder)
    except OSError as error:
        raise PoseFileError(f"'{shown(path)}' cannot be read: {error}.") from error
    except (PoseFileError, ValueError, RecursionError) as error:
        raise PoseFileError(
            f"Line {number} of '{shown(path)}' is damaged or cut off: {str(error).rstrip('.')}. "
            "Remove the line, or write the file again."
        ) from error
    return builder.table()


def _members(line: bytes) -> dict[str, Any]:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise PoseFileError("It must be a JSON object.")
    return record


class _Header:
    """The first line: what the file holds, and how its lines are read."""

    def __init__(self, record: dict[str, Any]) -> None:
        fields = JsonFields(record, "the header", PoseFileError)
        fields.text("format", (FORMAT,))
        version = fields.integer("version", 1)
        if version > VERSION_OF_SEVERAL:
            raise PoseFileError(
                f"The format has version {version}, and this edgepose reads versions {VERSION} and "
                f"{VERSION_OF_SEVERAL}; update edgepose."
            )
        joints = fields.items("joints")
        if not joints or not all(isinstance(joint, str) for joint in joints):
            raise PoseFileError(f"'joints' must be a list of names; got {joints!r}.")
        self.skeleton = skeleton_of(joints, fields.text("skeleton"))
        self.source = fields.text("source")
        self.metadata: dict[str, Any] = {"model": fields.text("model"), "source": self.source}
        if "engine" in fields.names():
            self.metadata["engine"] = fields.free("engine")
        self._several = version == VERSION_OF_SEVERAL

    def add_line(self, record: dict[str, Any], builder: TableBuilder) -> None:
        """Append the frame of a line."""
        line = JsonFields(record, "the line", PoseFileError)
        if self._several:
            people = [_person(each, self.skeleton) for each in line.items("people")]
        else:
            people = [] if record.get("keypoints") is None else [_one_person(line, self.skeleton)]
        reason = str(record.get("reason") or "")
        builder.add(line.integer("frame"), line.number("timestamp_ms"), people, reason)


def _one_person(line: JsonFields, skeleton: Skeleton) -> PersonRow:
    return PersonRow(
        person_id=1,
        keypoints=_keypoints(line.items("keypoints"), skeleton),
        origin=Origin(line.text("origin", _ORIGINS)),
        roi=line.numbers("roi", 4),
        key_frame_age=line.optional_integer("key_frame_age"),
    )


def _person(record: Any, skeleton: Skeleton) -> PersonRow:
    fields = JsonFields(record, "a person", PoseFileError)
    return PersonRow(
        person_id=fields.integer("person", 1),
        keypoints=_keypoints(fields.items("keypoints"), skeleton),
        origin=Origin(fields.text("origin", _ORIGINS)),
        score=fields.number("score"),
        roi=fields.numbers("roi", 4),
        state=PersonState(fields.text("state", _STATES)),
        key_frame_age=fields.optional_integer("key_frame_age"),
    )


def _keypoints(joints: list[Any], skeleton: Skeleton) -> NDArray[np.float32]:
    """Return joints (K, 3); what is null becomes NaN."""
    shape = (skeleton.num_joints, 3)
    rows = [joint if isinstance(joint, list) else [] for joint in joints]
    fits = len(rows) == shape[0] and all(len(row) == 3 for row in rows)
    if not fits or {type(value) for row in rows for value in row} - _JOINT_TYPES:
        raise PoseFileError(
            f"'keypoints' must be {shape[0]} lists of x, y and score, numbers or null; got "
            f"{shown(str(joints))}."
        )
    return np.array(rows, np.float32)
