"""What people look like: the colours of their clothes, to tell them apart after an occlusion."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.poses.skeletons import Skeleton

#: Colours are counted along lines between joints, in parts of their way: most of a body is there,
#: and little of what is behind it.
_TORSO = ((0.2, 0.35, 0.5), (0.5, 0.65, 0.8))
_THIGH = (0.3, 0.5, 0.7)
_SHIN = (0.2, 0.4, 0.6)
_SIDES = ("right", "left")
#: The first of these that a skeleton has is where the head is.
_HEADS = ("head", "nose", "face", "head_top")
#: A square of so many points is looked at around each point of these lines; its side is so long in
#: parts of the person's height.
GRID, SIDE = 5, 0.06
#: Joints of a lower score are left out.
LEAST_SCORE = 0.2
#: Bins of the histograms of each part in each channel of CIELAB, and how far a and b reach to each
#: side of grey, in levels of 8 bits.
BINS, REACH = 8, 32.0
#: How much a new look changes what is remembered.
WEIGHT = 0.15
#: How differently two people look of whom one is not known: as likely the same as not.
UNKNOWN = 0.5

#: float32 (P, BINS ** 3): the histogram of each part of the body, with a sum of 1, or 0 for a part
#: that was not seen.
Description = NDArray[np.float32]
#: From the mean of these joints to that of those, and how much of the way.
_Point = tuple[tuple[str, ...], tuple[str, ...], float]


class AppearanceDescriber:
    """Describes people by histograms of colours along their bodies.

    Args:
        skeleton: of the poses; with a head or nose, shoulders, hips, knees and ankles.
    """

    def __init__(self, skeleton: Skeleton) -> None:
        parts = _parts(skeleton)
        points = [_point(skeleton, *point) for part in parts for point in part]
        self._weights = np.array(points)
        self._part = np.repeat(np.arange(len(parts)), list(map(len, parts)))
        self._count = len(parts)
        around = np.linspace(-SIDE / 2, SIDE / 2, GRID)
        self._around = np.stack(np.meshgrid(around, around), axis=-1).reshape(-1, 2)

    def describe(
        self, image: NDArray[np.uint8], keypoints: NDArray[np.float32]
    ) -> Description | None:
        """Return what a person looks like; ``None`` if no part can be seen.

        Args:
            image: uint8 BGR (H, W, 3).
            keypoints: float32 (K, 3) x, y in frame pixels, score.
        """
        spots = self._spots(keypoints)
        at = np.nan_to_num(spots, nan=-1.0).astype(np.int64)
        size = np.array(image.shape[1::-1])
        seen: NDArray[np.bool_] = np.all((at >= 0) & (at < size), axis=-1)
        if not seen.any():
            return None
        part = np.broadcast_to(self._part[:, None], seen.shape)[seen]
        bins = part * BINS**3 + _bins(image[at[seen, 1], at[seen, 0]])
        counts = np.bincount(bins, minlength=self._count * BINS**3).reshape(self._count, -1)
        total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return np.asarray(counts / total, np.float32)

    def _spots(self, keypoints: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return x, y (N, G, 2) of all that is looked at; NaN where a joint is not known."""
        joints = np.where(keypoints[:, 2:] > LEAST_SCORE, keypoints[:, :2], np.nan)
        visible = joints[np.isfinite(joints[:, 1]), 1]
        height = float(np.ptp(visible)) if len(visible) else 0.0
        used = np.where((self._weights > 0)[..., None], joints, 0.0)
        points = (self._weights[..., None] * used).sum(axis=1)
        return np.asarray(np.round(points[:, None] + height * self._around))


def difference(first: Description | None, second: Description | None) -> float:
    """Return how differently two people look, from 0 to 1; ``UNKNOWN`` where one is not known.

    It is 1 minus the Bhattacharyya coefficient of the histograms, averaged over the parts of the
    body that both descriptions know.
    """
    if first is None or second is None:
        return UNKNOWN
    known = (first.sum(axis=1) > 0) & (second.sum(axis=1) > 0)
    if not known.any():
        return UNKNOWN
    alike = np.sqrt(first[known] * second[known]).sum(axis=1)
    return float(1 - min(alike.mean(), 1.0))


def remembered(
    known: Description | None, seen: Description | None, count: int
) -> Description | None:
    """Return the memory of a person after another look.

    Args:
        known: the memory before; ``None`` for none.
        seen: the look; ``None`` if nothing could be seen.
        count: which look it is, from 1: at first the memory is the mean of all.
    """
    if known is None or seen is None:
        return seen if known is None else known
    blended = known + max(WEIGHT, 1 / count) * (seen - known)
    new, gone = known.sum(axis=1) == 0, seen.sum(axis=1) == 0
    blended[new], blended[gone] = seen[new], known[gone]
    return blended


def _parts(skeleton: Skeleton) -> list[list[_Point]]:
    """Return the points of each part of the body: head, upper and lower torso, thighs, shins."""
    head = next((name for name in _HEADS if name in skeleton.joints), skeleton.joints[0])
    shoulders, hips = (tuple(f"{side}_{joint}" for side in _SIDES) for joint in ("shoulder", "hip"))
    torso: list[list[_Point]] = [[(shoulders, hips, way) for way in ways] for ways in _TORSO]
    legs: list[list[_Point]] = [
        [((f"{side}_{upper}",), (f"{side}_{lower}",), way) for side in _SIDES for way in ways]
        for upper, lower, ways in (("hip", "knee", _THIGH), ("knee", "ankle", _SHIN))
    ]
    return [[((head,), (head,), 0.0)], *torso, *legs]


def _point(
    skeleton: Skeleton, start: Sequence[str], end: Sequence[str], way: float
) -> NDArray[np.float64]:
    """Return the weights (K,) of the joints in a point part of the way between two means."""
    weights = np.zeros(skeleton.num_joints)
    for names, weight in ((start, 1 - way), (end, way)):
        for name in names:
            weights[skeleton.index(name)] += weight / len(names)
    return weights


def _bins(pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the bin (N,) of BGR pixels (N, 3)."""
    lab = cv2.cvtColor(pixels[None], cv2.COLOR_BGR2LAB)[0].astype(np.float64)
    light = (lab[:, 0] * (BINS / 256)).astype(np.int64)
    colour = ((lab[:, 1:] - (128 - REACH)) * (BINS / (2 * REACH))).astype(np.int64)
    colour = np.clip(colour, 0, BINS - 1)
    return np.asarray((light * BINS + colour[:, 0]) * BINS + colour[:, 1])
