"""JHMDB and sub-JHMDB, as published.

``joint_positions/ACTION/CLIP/joint_positions.mat``, ``puppet_mask/ACTION/CLIP/puppet_mask.mat``,
``Rename_Images/ACTION/CLIP/*.png``, and the splits: ``sub_splits/ACTION_test_split1.txt`` for
sub-JHMDB, ``splits/`` for all of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip, checked_clip
from edgepose.datasets.frames import PictureFiles
from edgepose.datasets.readers.damaged_files import OnBroken, read_each, refuse
from edgepose.datasets.readers.tables import load_matlab, numbers
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import JHMDB15

FPS = 30.0
SPLITS = tuple(f"{part}{number}" for part in ("test", "train") for number in (1, 2, 3))
_FLAGS = {"train": "1", "test": "2"}
_LINE = re.compile(r"(?P<clip>\S.*)\.avi\s+(?P<flag>[012])\s*")


def read_sub_jhmdb_clips(
    root: Path, split: str = "test1", on_broken: OnBroken = refuse
) -> list[Clip]:
    """Read one part of one split of sub-JHMDB: the 316 clips that show the whole body.

    Boxes are those of the puppet masks, without a margin. Every joint of every frame is scored.

    Args:
        root: the folder that holds ``joint_positions/``, ``puppet_mask/``, ``Rename_Images/`` and
            the splits.
        split: "train1", "test1", … "test3".
        on_broken: is given a `DataError` for each broken clip, which is left out.

    Raises:
        DataError: there are no splits, one is damaged, or nothing else was said about broken clips.
        ConfigError: there is no such split.
    """
    return _read(root, "sub_splits", split, on_broken)


def read_full_jhmdb_clips(
    root: Path, split: str = "test1", on_broken: OnBroken = refuse
) -> list[Clip]:
    """Read one part of one split of all 928 clips of JHMDB, as `read_sub_jhmdb_clips` does."""
    return _read(root, "splits", split, on_broken)


def mask_boxes(masks: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the tight extent of the non-zero pixels of each mask.

    Args:
        masks: (h, w, T).

    Returns:
        (T, 4) x1, y1, x2, y2: first and last column and row, 0-based. An empty mask has the box
        before it, or else the first there is; all NaN where every mask is empty.
    """
    boxes = np.full((masks.shape[2], 4), np.nan, np.float32)
    filled = masks != 0
    for index, (columns, rows) in enumerate(zip(filled.any(0).T, filled.any(1).T, strict=True)):
        if columns.any():
            x, y = np.flatnonzero(columns), np.flatnonzero(rows)
            boxes[index] = x[0], y[0], x[-1], y[-1]
    known = np.flatnonzero(np.isfinite(boxes[:, 0]))
    if not len(known):
        return boxes
    last = np.searchsorted(known, np.arange(len(boxes)), side="right") - 1
    carried: NDArray[np.float32] = boxes[known[last.clip(0)]]
    return carried


def _read(root: Path, folder: str, split: str, on_broken: OnBroken) -> list[Clip]:
    if split not in SPLITS:
        raise ConfigError(f"JHMDB has the splits {', '.join(SPLITS)}, but no {split!r}.")
    names = list(_split_clips(root / folder, split))
    return list(read_each(names, partial(_clip, root, split), on_broken))


def _split_clips(folder: Path, split: str) -> Iterator[tuple[str, str]]:
    """Yield (action, clip) of one part of a split."""
    part, number = split[:-1], split[-1]
    ending = f"_test_split{number}.txt"
    files = sorted(folder.glob(f"*{ending}"))
    if not files:
        raise DataError(f"There is no split file '{folder / ('ACTION' + ending)}'.")
    for path in files:
        for line in path.read_text(encoding="utf8", errors="replace").splitlines():
            fields = _LINE.fullmatch(line)
            if fields is None and line.strip():
                raise DataError(f"'{path}' should hold lines such as 'clip.avi 1', not {line!r}.")
            if fields and fields["flag"] == _FLAGS[part]:
                yield path.name.removesuffix(ending), fields["clip"]


def _clip(root: Path, split: str, names: tuple[str, str]) -> Clip:
    action, name = names
    joints_path = root / "joint_positions" / action / name / "joint_positions.mat"
    mask_path = root / "puppet_mask" / action / name / "puppet_mask.mat"
    joints = _joints(joints_path)
    frames = sorted((root / "Rename_Images" / action / name).glob("*.png"))
    if len(frames) != len(joints):
        raise DataError(
            f"The clip {action}/{name} has {len(frames)} frames, but {len(joints)} are annotated."
        )
    boxes = _boxes(mask_path)
    count = min(len(joints), len(boxes))  # the masks of a few clips end early
    scored = np.ones((count, JHMDB15.num_joints, 1), np.float32)
    return checked_clip(
        Clip(
            name=f"{action}/{name}",
            film=name,
            frames=PictureFiles(tuple(frames[:count])),
            keypoints=np.concatenate([joints[:count], scored], axis=-1),
            boxes=boxes[:count],
            skeleton=JHMDB15,
            fps=FPS,
            split=split,
        )
    )


def _joints(path: Path) -> NDArray[np.float32]:
    """Joints (T, 15, 2) in pixels, which MATLAB counts from 1."""
    return _frames_last(path, "pos_img", (2, JHMDB15.num_joints)).transpose(2, 1, 0) - 1


def _boxes(path: Path) -> NDArray[np.float32]:
    boxes = mask_boxes(_frames_last(path, "part_mask", (None, None)))
    if not np.isfinite(boxes).all():
        raise DataError(f"Every mask in '{path}' is empty.")
    return boxes


def _frames_last(path: Path, key: str, shape: tuple[int | None, ...]) -> NDArray[np.float32]:
    """An array whose last axis is time; MATLAB drops that axis from a clip of one frame."""
    table = load_matlab(path, key)
    if table[key].ndim == len(shape):
        table[key] = table[key][..., None]
    return numbers(table, key, (*shape, None), path)
