"""Left and right mixed up: how often, and what refining does about it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.evaluation.metrics.scoring import scoring_skeleton
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import Skeleton

FloatArray = NDArray[np.floating]

#: Joints are swapped if exchanging them leaves at most this part of the error.
CLEARLY = 0.5


@dataclass(frozen=True)
class SwapCounts:
    """Pairs of a left and a right joint, both of them annotated.

    Attributes:
        pairs: how many were looked at.
        before: of them swapped before.
        after: swapped after.
        repaired: swapped before and not after.
        caused: not swapped before, but after.
    """

    pairs: int = 0
    before: int = 0
    after: int = 0
    repaired: int = 0
    caused: int = 0

    def __add__(self, other: SwapCounts) -> SwapCounts:
        return SwapCounts(
            self.pairs + other.pairs,
            self.before + other.before,
            self.after + other.after,
            self.repaired + other.repaired,
            self.caused + other.caused,
        )


def count_swaps(
    before: FloatArray, after: FloatArray, skeleton: Skeleton, clip: Clip
) -> SwapCounts:
    """Compare two predictions of one clip, each (T, K, 3) in the order of ``skeleton``."""
    common = scoring_skeleton(skeleton, clip.skeleton)
    truth = convert_keypoints(clip.keypoints, clip.skeleton, common)
    first, second = (
        swapped(convert_keypoints(poses, skeleton, common), truth, common)
        for poses in (before, after)
    )
    known = pairs_known(truth, common)
    return SwapCounts(
        pairs=int(known.sum()),
        before=int((first & known).sum()),
        after=int((second & known).sum()),
        repaired=int((first & ~second & known).sum()),
        caused=int((second & ~first & known).sum()),
    )


def swapped(poses: FloatArray, truth: FloatArray, skeleton: Skeleton) -> NDArray[np.bool_]:
    """Return (T, P), whether the two joints of each flip pair are clearly the wrong way round."""
    order = np.array(skeleton.flip_pairs)
    straight = np.linalg.norm(poses[:, order, :2] - truth[:, order, :2], axis=-1).sum(-1)
    crossed = np.linalg.norm(poses[:, order, :2] - truth[:, order[:, ::-1], :2], axis=-1).sum(-1)
    return np.asarray(crossed < CLEARLY * straight)


def pairs_known(truth: FloatArray, skeleton: Skeleton) -> NDArray[np.bool_]:
    """Return (T, P), whether both joints of each flip pair are scored."""
    return np.asarray((truth[:, np.array(skeleton.flip_pairs), 2] > 0).all(-1))
