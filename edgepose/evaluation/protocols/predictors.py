"""Predictors: anything that gives one pose for every frame of a clip."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.boxes import person_boxes
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton

FloatArray = NDArray[np.floating]


class ClipPredictor(Protocol):
    """Predicts a whole clip."""

    @property
    def skeleton(self) -> Skeleton:
        """The order of the predicted joints."""

    def predict(self, clip: Clip) -> FloatArray:
        """Return (T, K, 3): x, y in frame pixels and score; NaN for joints not found."""


@runtime_checkable
class CountsProcessed(Protocol):
    """A predictor that knows on how many frames its networks ran."""

    @property
    def processed(self) -> Mapping[str, int]:
        """How many frames of each clip, by name, the networks processed."""


@dataclass(frozen=True)
class FrameWisePredictor:
    """A network that knows nothing of time, given the annotated box of each frame.

    Attributes:
        skeleton: the order of the predicted joints.
        estimate: takes a frame, uint8 (H, W, 3) BGR, and the person's box in it; returns (K, 3).
    """

    skeleton: Skeleton
    estimate: Callable[[Image, Roi], FloatArray]

    def predict(self, clip: Clip) -> FloatArray:
        """Return (T, K, 3), as :class:`ClipPredictor` says."""
        boxes = person_boxes(clip)
        return np.stack(
            [self.estimate(frame, box) for frame, box in zip(clip.frames(), boxes, strict=True)]
        )
