"""Annotated video clips for evaluation: every frame in order, decoded when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.tables import Table, load_table
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.skeletons import JHMDB15, Skeleton

Image = NDArray[np.uint8]

JHMDB_SIZE = (320, 240)


@dataclass(frozen=True)
class Clip:
    """One annotated person in consecutive frames.

    Attributes:
        name: the clip, unique within its data set.
        film: the film or source video it was cut from.
        frames: call it for an iterator over T images, uint8 (H, W, 3) BGR. It raises `DataError`
            if the clip cannot be decoded whole.
        keypoints: float32 (T, K, 3): x, y in pixels and 1 where the joint is scored, else 0. The
            coordinates of joints that are not scored (outside the image, say) are kept.
        boxes: float32 (T, 4) as x1, y1, x2, y2 in pixels, or None where the set has no boxes.
        skeleton: the order of the joints.
        fps: frames per second.
        split: the part of the data set.
        grade: how sure the annotation is; "A" is best.
        full_body: whether the whole body is in the picture.
    """

    name: str
    film: str
    frames: Callable[[], Iterator[Image]]
    keypoints: NDArray[np.float32]
    boxes: NDArray[np.float32] | None
    skeleton: Skeleton
    fps: float
    split: str
    grade: str = "A"
    full_body: bool = True

    def __len__(self) -> int:
        return len(self.keypoints)


def read_jhmdb_clips(root: Path, split: str = "val", grade: str | None = None) -> list[Clip]:
    """Read the JHMDB clips with human annotation.

    Frames whose annotation is not to be trusted and joints outside the image are not scored.

    Args:
        root: the folder that holds ``joints.npz`` and ``clips/``.
        split: "val" (films that training never sees) or "train".
        grade: "A" or "B" to keep only those.

    Raises:
        DataError: a file is missing or damaged.
        ConfigError: there is no such split.
    """
    if split not in ("train", "val"):
        raise ConfigError(f"The JHMDB clips have the splits train and val, but no {split!r}.")
    table = load_table(root / "joints.npz")
    chosen = table["val"] == (split == "val")
    if grade is not None:
        chosen &= table["grade"] == grade
    return [_jhmdb_clip(root, table, int(index), split) for index in np.flatnonzero(chosen)]


def _jhmdb_clip(root: Path, table: Table, index: int, split: str) -> Clip:
    name = str(table["clips"][index])
    rows = slice(*table["offsets"][index : index + 2])
    joints = table["joints"][rows]
    path = root / "clips" / name
    scored = _inside(joints, JHMDB_SIZE) & table["frame_ok"][rows, None]
    return Clip(
        name=name,
        film=str(table["film"][index]),
        frames=lambda: decode_frames(path, len(joints)),
        keypoints=np.concatenate([joints, scored[..., None]], axis=-1, dtype=np.float32),
        boxes=None,
        skeleton=JHMDB15,
        fps=_frame_rate(path),
        split=split,
        grade=str(table["grade"][index]),
        full_body=bool(table["full_body"][index]),
    )


def _inside(points: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.bool_]:
    return np.asarray(((points >= -0.5) & (points < np.asarray(size) - 0.5)).all(axis=-1))


def _frame_rate(path: Path) -> float:
    capture = _open(path)
    try:
        return float(capture.get(cv2.CAP_PROP_FPS)) or 25.0
    finally:
        capture.release()


def decode_frames(path: Path, count: int) -> Iterator[Image]:
    """Yield the first ``count`` frames of a video file, uint8 (H, W, 3) BGR.

    Raises:
        DataError: the file is missing, is no video, or has fewer frames.
    """
    capture = _open(path)
    try:
        for index in range(count):
            decoded, image = capture.read()
            if not decoded:
                raise DataError(f"'{path}' ends after {index} of its {count} annotated frames.")
            yield np.asarray(image, np.uint8)
    finally:
        capture.release()


def _open(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise DataError(f"The clip '{path}' is missing or is not a video that OpenCV can decode.")
    return capture
