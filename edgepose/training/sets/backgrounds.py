"""Pictures, and parts of pictures, in which nobody is to be seen."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edgepose.datasets.records import Image
from edgepose.inference.person_detector import PersonDetector
from edgepose.training.sets.people import fitted, shrunk
from edgepose.training.sets.samples import Sample, make_sample
from edgepose.training.sets.sources import Picture
from edgepose_runtime.geometry.boxes import Boxes

_NO_JOINTS = np.empty((0, 3), np.float32)


@dataclass(frozen=True)
class BackgroundSettings:
    """What counts as a background.

    Attributes:
        score: a box that the detector scores so high may be a person, 0 to 1.
        size: least shorter side in pixels.
        longest: longest side of a stored picture in pixels.
    """

    score: float = 0.2
    size: int = 96
    longest: int = 288


class BackgroundFinder:
    """Cuts places without people out of pictures.

    A picture is taken whole where neither the detector nor the annotation has anybody in it, else
    the largest stretch beside, above or below all people, if the detector finds nobody there.

    Args:
        detector: says where people are.
        settings: what counts.
    """

    def __init__(
        self, detector: PersonDetector, settings: BackgroundSettings | None = None
    ) -> None:
        self.settings = settings or BackgroundSettings()
        self._detector = detector

    def find(self, picture: Picture, most: int) -> list[Sample]:
        """Return the background of a picture, if there is one; ``most`` is at least 1."""
        image = shrunk(picture.image)
        known = picture.boxes * (image.shape[1] / picture.image.shape[1])
        people = np.concatenate([known, self._people(image)])
        part = image if not len(people) else largest_free_part(image, people)
        if min(part.shape[:2]) < self.settings.size or (len(people) and len(self._people(part))):
            return []
        part, _ = fitted(part, self.settings.longest)
        return [make_sample(picture.origin, part, _NO_JOINTS)][:most]

    def _people(self, image: Image) -> Boxes:
        return self._detector.detect(image, self.settings.score)[:, :4]


def largest_free_part(image: Image, boxes: Boxes) -> Image:
    """Return the largest stretch of a picture left of, right of, above or below all boxes."""
    return max(_free_parts(image, boxes), key=lambda part: part.size)


def _free_parts(image: Image, boxes: Boxes) -> Iterator[Image]:
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(boxes[:, :2].min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(boxes[:, 2:4].max(axis=0)), 0, (width, height)).astype(int)
    yield image[:, :left]
    yield image[:, right:]
    yield image[:top]
    yield image[bottom:]
