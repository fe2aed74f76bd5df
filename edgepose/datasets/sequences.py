"""Joint sequences without pictures, to learn how people move."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.tables import load_table
from edgepose_runtime.skeletons import PENN13, Skeleton


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

    They are in the order of ``PENN13``; `edgepose.datasets.penn.read_penn_clips` says why.

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
