"""COCO: annotations with identities, and detections."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.export.boxes import trusted_boxes
from edgepose.export.files import file_stem, write_file
from edgepose.export.joints import coco_keypoints
from edgepose.pose_files.table import PoseTable
from edgepose.results import TRUSTED_SCORE
from edgepose_runtime.poses.skeletons import COCO17

_PERSON = 1
_VISIBLE = 2


def export_coco(table: PoseTable, out: Path) -> int:
    """Write a file of annotations (``images``, ``annotations``, ``categories``).

    Each annotation has its identity as ``track_id``, also among its ``attributes``. Joints below a
    score of 0.2 are not labelled; poses without a labelled joint are left out. Images are numbered
    from 1 in the order of videos and frames, and named ``VIDEO/FRAME.jpg`` with six digits.

    Returns:
        How many poses were written.

    Raises:
        OutputError: the file cannot be written.
    """
    ids = _image_ids(table)
    keypoints = coco_keypoints(table)
    labelled = keypoints[..., 2] >= TRUSTED_SCORE
    boxes = trusted_boxes(keypoints)
    numbers = np.where(labelled[..., None], keypoints, 0)
    numbers[..., 2] = np.where(labelled, _VISIBLE, 0)
    annotations = [
        {"id": number, **_annotation(table, row, ids), **_labels(numbers[row], boxes[row])}
        for number, row in enumerate(np.flatnonzero(labelled.any(axis=1)).tolist(), start=1)
    ]
    content = {"images": _images(table, ids), "annotations": annotations, "categories": [_CATEGORY]}
    write_file(out, json.dumps(content).encode())
    return len(annotations)


def export_coco_results(table: PoseTable, out: Path) -> int:
    """Write a list of detections, as ``loadRes`` of pycocotools reads it.

    Images have the numbers that :func:`export_coco` gives them, and joints keep their scores.

    Returns:
        How many poses were written.

    Raises:
        OutputError: the file cannot be written.
    """
    ids, keypoints = _image_ids(table), coco_keypoints(table)
    rows = [
        {
            "image_id": ids[_key(table, row)],
            "category_id": _PERSON,
            "keypoints": _rounded(keypoints[row]),
            "score": round(float(table.score[row]), 4),
            "track_id": int(table.person_id[row]),
        }
        for row in range(len(table))
    ]
    write_file(out, json.dumps(rows).encode())
    return len(rows)


_CATEGORY = {
    "id": _PERSON,
    "name": "person",
    "supercategory": "person",
    "keypoints": list(COCO17.joints),
    "skeleton": [[first + 1, second + 1] for first, second in COCO17.limbs],
}


def _image_ids(table: PoseTable) -> dict[tuple[int, int], int]:
    """Return the number of the image of each (video, frame)."""
    frames = zip(table.frames.video.tolist(), table.frames.frame.tolist(), strict=True)
    return {key: number for number, key in enumerate(sorted(frames), start=1)}


def _key(table: PoseTable, row: int) -> tuple[int, int]:
    return int(table.video[row]), int(table.frame[row])


def _images(table: PoseTable, ids: dict[tuple[int, int], int]) -> list[dict[str, Any]]:
    stems = [file_stem(name) for name in table.videos]
    return [
        {"id": number, "file_name": f"{stems[video]}/{frame:06d}.jpg", "video": table.videos[video]}
        for (video, frame), number in ids.items()
    ]


def _annotation(table: PoseTable, row: int, ids: dict[tuple[int, int], int]) -> dict[str, Any]:
    person_id = int(table.person_id[row])
    return {
        "image_id": ids[_key(table, row)],
        "category_id": _PERSON,
        "iscrowd": 0,
        "track_id": person_id,
        "attributes": {"track_id": person_id},
        "score": round(float(table.score[row]), 4),
    }


def _labels(keypoints: NDArray[Any], box: NDArray[np.float64]) -> dict[str, Any]:
    # COCO counts pixels of a box from their corners.
    x, y, width, height = (box + np.array([0.5, 0.5, 0, 0])).tolist()
    return {
        "keypoints": _rounded(keypoints),
        "num_keypoints": int((keypoints[:, 2] > 0).sum()),
        "bbox": [round(value, 3) for value in (x, y, width, height)],
        "area": round(width * height, 3),
    }


def _rounded(keypoints: NDArray[Any]) -> list[float]:
    return [round(value, 3) for value in keypoints.astype(float).ravel().tolist()]
