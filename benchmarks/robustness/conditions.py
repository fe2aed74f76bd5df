"""Whole clips under worse conditions: blurred, dark, covered now and then, of half the size."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.perturbation import Perturbation, perturbed

CLEAN = "clean"
#: Parts of the frames in which something covers the person.
COVERED = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
_WHOLE_CLIP = sys.maxsize


@dataclass(frozen=True)
class Condition:
    """A way to make clips harder.

    Attributes:
        name: as printed, unique.
        group: of conditions that differ in degree.
        apply: returns the harder clip, always with the same pixels.
        share: of the frames that are spoilt, 0 to 1.
    """

    name: str
    group: str
    apply: Callable[[Clip], Clip]
    share: float


def conditions() -> list[Condition]:
    """Return the clean clips and all that is done to them."""
    covered = [_perturbing(f"covered {100 * share:.0f} %", "occlusion", share) for share in COVERED]
    return [
        Condition(CLEAN, CLEAN, lambda clip: clip, 0.0),
        _perturbing("blurred", "defocus"),
        _perturbing("dark", "darkness"),
        *covered,
        Condition("half size", "half", halved, 1.0),
    ]


def _perturbing(name: str, kind: str, share: float = 1.0) -> Condition:
    """Return a condition of one kind: of one strength for the whole clip, or in short stretches."""
    if share < 1:
        perturbation = Perturbation(share, (kind,))
    else:
        perturbation = Perturbation(share, (kind,), stretch=_WHOLE_CLIP)
    return Condition(name, kind, lambda clip: perturbed(clip, perturbation), share)


def halved(clip: Clip) -> Clip:
    """Return the clip with half as many pixels in width and height, and its annotation with it."""

    def frames() -> Iterator[Image]:
        for image in clip.frames():
            size = max(image.shape[1] // 2, 1), max(image.shape[0] // 2, 1)
            yield np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    keypoints = clip.keypoints.copy()
    # Pixel centres lie at integers: two old pixels have their middle where a new one has it.
    keypoints[..., :2] = (keypoints[..., :2] + 0.5) / 2 - 0.5
    boxes = clip.boxes
    if boxes is not None:
        boxes = ((boxes + 0.5) / 2 - 0.5).astype(np.float32)
    return replace(clip, frames=frames, keypoints=keypoints, boxes=boxes)
