"""Windows of joint sequences, to learn and to measure how people move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.sequences import JointSequence
from edgepose_runtime.errors import DataError

#: The videos of Penn Action's training part that no training of dynamics uses.
SET_APART = Path(__file__).parent.parent / "training" / "splits" / "penn-set-apart.txt"
#: Joints that must be visible all along for a window to count.
FEWEST_JOINTS = 5


@dataclass(frozen=True)
class MotionWindows:
    """Windows of the same length.

    Attributes:
        paths: float64 (W, T, K, 2) x, y in sides of the person's box, around the window's middle.
        visible: (W, K) whether a joint is visible in all frames; the others are not to be trusted.
    """

    paths: NDArray[np.float64]
    visible: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.paths)

    def chosen(self, indices: NDArray[np.integer]) -> MotionWindows:
        """Return some of them."""
        return MotionWindows(self.paths[indices], self.visible[indices])


def set_apart(
    sequences: Sequence[JointSequence],
) -> tuple[list[JointSequence], list[JointSequence]]:
    """Return the sequences to train on, and those set apart to measure with.

    Raises:
        DataError: none of them, or all of them, are set apart: they are not Penn Action's.
    """
    names = {
        name
        for line in SET_APART.read_text(encoding="utf8").splitlines()
        if not line.startswith("#")
        for name in line.split()
    }
    kept = [sequence for sequence in sequences if sequence.name not in names]
    apart = [sequence for sequence in sequences if sequence.name in names]
    if not kept or not apart:
        raise DataError(
            "The list of videos set apart does not fit these sequences: "
            f"it leaves {len(kept)} to train on and {len(apart)} to measure with."
        )
    return kept, apart


def cut_windows(
    sequences: Sequence[JointSequence], length: int, stride: int, fewest: int = FEWEST_JOINTS
) -> MotionWindows:
    """Cut sequences into windows; shorter sequences are left out.

    Args:
        sequences: of one skeleton.
        length: frames of a window.
        stride: frames from one window to the next.
        fewest: joints that must be visible in all its frames.

    Raises:
        DataError: there is no such window.
    """
    found = [
        _window(sequence, start, length)
        for sequence in sequences
        for start in range(0, len(sequence) - length + 1, stride)
    ]
    kept = [(paths, visible) for paths, visible in found if visible.sum() >= fewest]
    if not kept:
        raise DataError(
            f"None of the {len(sequences)} sequences has {length} frames with {fewest} joints "
            "visible throughout."
        )
    paths, visible = zip(*kept, strict=True)
    return MotionWindows(np.stack(paths), np.stack(visible))


def _window(
    sequence: JointSequence, start: int, length: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    part = slice(start, start + length)
    box = sequence.boxes[part]
    size = np.median(np.maximum(box[:, 2] - box[:, 0], box[:, 3] - box[:, 1]))
    joints = sequence.joints[part].astype(np.float64)
    visible = np.asarray(sequence.visible[part].all(axis=0))
    return (joints - joints.mean(axis=(0, 1))) / max(size, 1.0), visible
