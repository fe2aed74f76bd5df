"""Joint sequences without pictures, to learn how people move."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.readers.tables import load_table
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13, Skeleton


@dataclass(frozen=True, slots=True)
class JointSequence:
    """The joints of one person over consecutive frames.

    Attributes:
        name: the clip.
        action: what the person does.
        joints: float32 (T, K, 2) x, y in pixels; those of joints that are not visible are a guess.
        visible: (T, K), whether a joint is seen.
        boxes: float32 (T, 4) x1, y1, x2, y2 in pixels.
        skeleton: the order of the joints.
    """

    name: str
    action: str
    joints: NDArray[np.float32]
    visible: NDArray[np.bool_]
    boxes: NDArray[np.float32]
    skeleton: Skeleton = PENN13

    def __len__(self) -> int:
        return len(self.joints)


def read_penn_sequences(root: Path) -> list[JointSequence]:
    """Read the joint sequences of Penn Action's training part from ``train_joints.npz`` in `root`.

    They are in the order of ``PENN13``; `edgepose.datasets.readers.penn.read_penn_clips` says why.

    Raises:
        DataError: the file is missing or damaged.
    """
    table = load_table(
        root / "train_joints.npz", "ids", "offsets", "joints", "visible", "boxes", "actions"
    )
    starts, ends = table["offsets"][:-1], table["offsets"][1:]
    return [
        JointSequence(
            name=str(name),
            action=str(action),
            joints=table["joints"][start:end],
            visible=table["visible"][start:end],
            boxes=table["boxes"][start:end],
        )
        for name, action, start, end in zip(
            table["ids"], table["actions"], starts, ends, strict=True
        )
    ]


def read_jhmdb_sequences(root: Path) -> list[JointSequence]:
    """Read the joint sequences of the JHMDB training clips from ``joints.npz`` in `root`.

    A joint counts as visible in all frames whose annotation is to be trusted: JHMDB does not say.
    Boxes are the extents of the joints.

    Raises:
        DataError: the file is missing or damaged.
    """
    table = load_table(root / "joints.npz", "clips", "offsets", "joints", "frame_ok", "val")
    parts = [slice(*ends) for ends in pairwise(table["offsets"])]
    return [
        _jhmdb_sequence(str(name), table["joints"][part], table["frame_ok"][part])
        for name, part, val in zip(table["clips"], parts, table["val"], strict=True)
        if not val
    ]


def _jhmdb_sequence(
    name: str, joints: NDArray[np.float32], good: NDArray[np.bool_]
) -> JointSequence:
    return JointSequence(
        name=name,
        action=name.partition("/")[0],
        joints=joints,
        visible=np.repeat(good[:, None], joints.shape[1], axis=1),
        boxes=np.concatenate([joints.min(axis=1), joints.max(axis=1)], axis=1),
        skeleton=JHMDB15,
    )
