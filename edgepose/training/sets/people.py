"""People in pictures, labelled by a teacher network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.benchmarking.peers.rtmpose import RtmPose
from edgepose.datasets.records import Image
from edgepose.inference.person_detector import PersonDetector
from edgepose.training.sets.samples import Sample, make_sample
from edgepose.training.sets.sources import Picture
from edgepose_runtime.geometry.boxes import Boxes, areas, intersections
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import HALPE26

#: Pictures with a longer side are halved until they fit.
LARGEST_SIDE = 1600
_LIMBS = sorted(joint for pair in HALPE26.flip_pairs for joint in pair if 5 <= joint < 17)


@dataclass(frozen=True)
class PeopleSettings:
    """Who is taken.

    Attributes:
        score: least score of a person's box, 0 to 1.
        size: least longer side of the box in pixels.
        crowd: the largest part of the box that another person's box may cover.
        joints: limb joints of 12 that the teacher must find.
        joint_score: from this score on a joint counts as found.
        longest: longest side of a stored picture in pixels.
    """

    score: float = 0.5
    size: float = 100
    crowd: float = 0.5
    joints: int = 8
    joint_score: float = 0.4
    longest: int = 288


#: Also half bodies, small people and people behind others: what cameras see.
HALF_BODIES = PeopleSettings(score=0.4, size=64, crowd=0.8, joints=4)


class PeopleFinder:
    """Cuts the people out of pictures and has a teacher label them.

    Args:
        detector: finds them.
        teacher: labels 26 joints.
        settings: who is taken.
    """

    def __init__(
        self, detector: PersonDetector, teacher: RtmPose, settings: PeopleSettings | None = None
    ) -> None:
        self.settings = settings or PeopleSettings()
        self._detector, self._teacher = detector, teacher

    def find(self, picture: Picture, most: int) -> list[Sample]:
        """Return the people of a picture, the largest first, at most ``most``."""
        image = shrunk(picture.image)
        found: list[Sample] = []
        for box in self._people(self._detector.detect(image, min(0.3, self.settings.score))):
            joints = self._teacher(image, box_of(box))
            sure = joints[_LIMBS, 2] > self.settings.joint_score
            if sure.sum() >= self.settings.joints:
                crop, joints = _crop(image, box, joints, self.settings.longest)
                found.append(make_sample(picture.origin, crop, joints))
            if len(found) == most:
                break
        return found

    def _people(self, boxes: Boxes) -> Iterator[NDArray[np.float64]]:
        """Yield the boxes that are sure, large and free enough, the largest first."""
        sides = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, initial=0.0)
        shared = intersections(boxes, boxes) * (1 - np.eye(len(boxes)))
        covered = shared.max(axis=1, initial=0.0) / np.maximum(areas(boxes), 1)
        for index in np.argsort(-sides, kind="stable"):
            sure = boxes[index, 4] > self.settings.score
            free = covered[index] <= self.settings.crowd
            if sure and free and sides[index] >= self.settings.size:
                yield boxes[index]


def shrunk(image: Image) -> Image:
    """Return a picture halved until its longer side has at most ``LARGEST_SIDE`` pixels.

    A line of one pixel, which nothing is found in, stays as long as it is.
    """
    while max(image.shape[:2]) > LARGEST_SIDE and min(image.shape[:2]) > 1:
        half = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        image = np.asarray(half, np.uint8)
    return image


def fitted(image: Image, longest: int) -> tuple[Image, float]:
    """Return a picture whose longer side has at most so many pixels, and its scale, at most 1."""
    scale = min(1.0, longest / max(image.shape[:2]))
    if scale == 1:
        return image, scale
    small = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8), scale


def box_of(box: NDArray[np.float64]) -> Roi:
    """Return a box x1, y1, x2, y2 as a region."""
    left, top, right, bottom = box[:4].tolist()
    return Roi.around(((left + right) / 2, (top + bottom) / 2), right - left, bottom - top)


def _crop(
    image: Image, box: NDArray[np.float64], joints: NDArray[np.float32], longest: int
) -> tuple[Image, NDArray[np.float32]]:
    """Return the square around a box, clipped to the picture, and the joints in its pixels."""
    centre, half = (box[:2] + box[2:4]) / 2, 0.8 * (box[2:4] - box[:2]).max()
    low = np.maximum(np.floor(centre - half), 0).astype(int)
    high = np.minimum(np.ceil(centre + half), image.shape[1::-1]).astype(int)
    part, scale = fitted(image[low[1] : high[1], low[0] : high[0]], longest)
    moved = joints.copy()
    moved[:, :2] = (joints[:, :2] - low + 0.5) * scale - 0.5
    return part, moved
