"""Penn Action, as published: ``labels/0001.mat`` and ``frames/0001/000001.jpg``."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip, checked_clip
from edgepose.datasets.frames import PictureFiles
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import Table, load_matlab, numbers
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import PENN13

#: The frames were published without a rate.
FPS = 25.0
SPLITS = {"train": 1, "test": -1}


def read_penn_clips(
    root: Path, split: str = "test", *, occluded: bool = False, on_broken: OnBroken = refuse
) -> list[Clip]:
    """Read the clips of a split.

    The columns of the files are in the order of ``PENN13``, right before left. The readme that
    comes with them says left before right, but what it calls left is the person's right: players
    strum and throw with it, and it is on the right of bowlers seen from behind.

    Args:
        root: the folder that holds ``labels/`` and ``frames/``.
        split: "test" or "train".
        occluded: score joints that are marked as not visible, too; for training only.
        on_broken: is given a `DataError` for each broken clip, which is left out.

    Raises:
        DataError: there are no labels, or nothing else was said about broken clips.
        ConfigError: there is no such split.
    """
    if split not in SPLITS:
        raise ConfigError(f"Penn Action has the splits train and test, but no {split!r}.")
    files = sorted((root / "labels").glob("*.mat"))
    if not files:
        raise DataError(f"'{root}' is not Penn Action: there are no labels/0001.mat and so on.")

    def read(path: Path) -> Clip | None:
        table = load_matlab(path, "x", "y", "visibility", "bbox", "train")
        if numbers(table, "train", (1, 1), path) != SPLITS[split]:
            return None
        return checked_clip(_clip(root, path, table, split, occluded))

    return [clip for clip in read_each(files, read, on_broken) if clip is not None]


def _clip(root: Path, path: Path, table: Table, split: str, occluded: bool) -> Clip:
    x = numbers(table, "x", (None, 13), path)
    y, visible = (numbers(table, key, x.shape, path) for key in ("y", "visibility"))
    if occluded:
        visible = np.ones_like(visible)
    frames = sorted((root / "frames" / path.stem).glob("*.jpg"))
    return Clip(
        name=path.stem,
        film=path.stem,
        frames=PictureFiles(tuple(frames)),
        keypoints=np.stack([x, y, visible], axis=-1),
        boxes=_boxes(numbers(table, "bbox", (None, 4), path), len(x), path),
        skeleton=PENN13,
        fps=FPS,
        split=split,
    )


def _boxes(boxes: NDArray[np.float32], count: int, path: Path) -> NDArray[np.float32]:
    """Boxes x1, y1, x2, y2 for all frames: the clips 1154 and 1865 lack the last."""
    if len(boxes) == count - 1:
        boxes = np.concatenate([boxes, boxes[-1:]])
    if len(boxes) != count:
        raise DataError(f"'{path}' has {len(boxes)} boxes, but {count} frames of joints.")
    return boxes
