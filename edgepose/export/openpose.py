"""OpenPose: a JSON file for each frame."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.export.files import by_video, write_file
from edgepose.export.joints import body25_keypoints
from edgepose.pose_files.table import PoseTable
from edgepose.utils.output_files import make_folder

_VERSION = 1.3
_EMPTY = (
    "face_keypoints_2d", "hand_left_keypoints_2d", "hand_right_keypoints_2d", "pose_keypoints_3d",
    "face_keypoints_3d", "hand_left_keypoints_3d", "hand_right_keypoints_3d",
)  # fmt: skip


def export_openpose(table: PoseTable, out: Path) -> int:
    """Write ``VIDEO_json/VIDEO_000000000000_keypoints.json`` and so on, in the joints of BODY_25.

    Frames without anybody have a file, too.

    Returns:
        How many poses were written.

    Raises:
        OutputError: a file cannot be written.
    """
    for stem, video in by_video(table):
        folder = out / f"{stem}_json"
        make_folder(folder)
        keypoints = body25_keypoints(video)
        people = {frame: rows for _, frame, rows in video.groups()}
        for frame in video.frames.frame.tolist():
            rows = people.get(frame, np.zeros(0, np.int64))
            content = {"version": _VERSION, "people": _people(video, keypoints, rows)}
            path = folder / f"{stem}_{frame:012d}_keypoints.json"
            write_file(path, json.dumps(content).encode())
    return len(table)


def _people(
    video: PoseTable, keypoints: NDArray[np.float32], rows: NDArray[np.int64]
) -> list[dict[str, Any]]:
    return [
        {
            "person_id": [int(video.person_id[row])],
            "pose_keypoints_2d": [
                round(x, 4) for x in keypoints[row].astype(float).ravel().tolist()
            ],
            **{name: list[float]() for name in _EMPTY},
        }
        for row in rows.tolist()
    ]
