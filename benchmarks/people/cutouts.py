"""People cut out of annotated clips: pictures with a mask, and their joints."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip

#: Side of what is around the joints, in parts of their height.
MARGIN = 0.25
#: Thickness of the body along limbs that is surely the person, in parts of the height; what is
#: further away than the second is surely background.
INSIDE, OUTSIDE = 0.04, 0.16
#: Diameter of the head, likewise, and the names of the joint in its middle.
HEAD, HEAD_JOINTS = 0.11, ("face", "head")
ROUNDS = 3


@dataclass(frozen=True)
class Cutout:
    """One person in one frame.

    Attributes:
        image: uint8 BGR (h, w, 3).
        mask: float32 (h, w) from 0 to 1, how much of a pixel is the person.
        joints: float32 (K, 2) x, y in pixels of the image.
        mirror_order: joint k of the mirrored person was joint ``mirror_order[k]``; ``None`` where
            sides do not matter.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.float32]
    joints: NDArray[np.float32]
    mirror_order: tuple[int, ...] | None = None

    def scaled(self, height: float, *, mirrored: bool) -> Cutout:
        """Return the person with joints that span so many pixels, maybe mirrored."""
        factor = height / float(np.ptp(self.joints[:, 1]))
        size = [max(round(side * factor), 2) for side in self.image.shape[1::-1]]
        image = np.asarray(cv2.resize(self.image, size, interpolation=cv2.INTER_AREA), np.uint8)
        mask = np.asarray(cv2.resize(self.mask, size), np.float32)
        joints = (self.joints + 0.5) * factor - 0.5
        if mirrored:
            joints = np.column_stack([size[0] - 1 - joints[:, 0], joints[:, 1]])
            joints = joints if self.mirror_order is None else joints[list(self.mirror_order)]
            image, mask = np.ascontiguousarray(image[:, ::-1]), mask[:, ::-1]
        return Cutout(image, mask, joints.astype(np.float32))


def cut_out(clip: Clip, frames: int) -> list[Cutout]:
    """Cut the person out of the first frames of a clip, by GrabCut around the skeleton."""
    pairs = zip(clip.frames(), clip.keypoints[..., :2], strict=True)
    limbs = [(a, b) for a, b in clip.skeleton.limbs]
    order = clip.skeleton.flip_order
    (head,) = (i for i, name in enumerate(clip.skeleton.joints) if name in HEAD_JOINTS)
    return [_cut(image, joints, limbs, head, order) for image, joints in islice(pairs, frames)]


def forward_and_backward(cutouts: Sequence[Cutout]) -> Iterator[Cutout]:
    """Yield a person's frames without an end and without a jump."""
    while True:
        yield from cutouts
        yield from cutouts[-2:0:-1]


def _cut(
    image: NDArray[np.uint8],
    joints: NDArray[np.float32],
    limbs: Sequence[tuple[int, int]],
    head: int,
    mirror_order: tuple[int, ...],
) -> Cutout:
    height = float(np.ptp(joints[:, 1]))
    low = np.floor(joints.min(axis=0) - MARGIN * height).astype(int).clip(0)
    high = np.ceil(joints.max(axis=0) + MARGIN * height).astype(int)
    part = np.ascontiguousarray(image[low[1] : high[1], low[0] : high[0]])
    own = joints - low
    marks = np.full(part.shape[:2], cv2.GC_BGD, np.uint8)
    for label, thickness in ((cv2.GC_PR_BGD, OUTSIDE), (cv2.GC_PR_FGD, 0.1), (cv2.GC_FGD, INSIDE)):
        for first, second in limbs:
            ends = [tuple(map(int, own[index].round())) for index in (first, second)]
            cv2.line(marks, *ends, int(label), max(round(thickness * height), 1))
        radius = max(round((HEAD + thickness - INSIDE) * height / 2), 1)
        cv2.circle(marks, tuple(map(int, own[head].round())), radius, int(label), cv2.FILLED)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(part, marks, None, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    person = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD)).astype(np.float32)
    soft = np.asarray(cv2.GaussianBlur(person, (3, 3), 0), np.float32)
    return Cutout(part, soft, own.astype(np.float32), mirror_order)
