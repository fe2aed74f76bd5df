"""From a region of a frame to the pose in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import PoseModel
from edgepose.methods import Estimate
from edgepose.methods.base import CarryingMethod, Crop, Heatmaps
from edgepose.results import Origin
from edgepose.stats import StageClock
from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.geometry.roi import Roi

Image = NDArray[np.uint8]
Keypoints = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What a model made of one region of a frame.

    Attributes:
        roi: the square that was cropped.
        keypoints: float32 (K, 3): x, y in frame pixels and score.
        estimate: heat-maps, state and origin.
        key_frame_age: frames since the head ran.
    """

    roi: Roi
    keypoints: Keypoints
    estimate: Estimate
    key_frame_age: int


class Looker:
    """Crops regions, runs a model on them and decodes what it says. For one thread at a time.

    All its crops share one buffer: nothing that a method returns refers to a crop.

    Args:
        model: its networks.
        starts_lightly: asked before each start whether the light network has to do, because the
            heavy one is elsewhere; ``None`` if it never is.
    """

    def __init__(self, model: PoseModel, starts_lightly: Callable[[], bool] | None = None) -> None:
        self._model = model
        self._starts_lightly = starts_lightly
        size = model.method.spec.input_size
        self._buffer: Crop = np.empty((size, size, 3), np.uint8)

    def locate(self, image: Image, roi: Roi, clock: StageClock) -> Keypoints:
        """Return the joints (K, 3) that a cheap look at a region shows."""
        crop = self._crop(image, roi, clock)
        with clock.stage("network"):
            heatmaps = self._model.method.locate(crop, roi)
        return self._decode(heatmaps, roi, clock)

    def initialise(self, image: Image, roi: Roi, clock: StageClock) -> Look:
        """Look with the best network there is, knowing nothing of the past."""
        crop = self._crop(image, roi, clock)
        method = self._model.method
        lightly = self._starts_lightly is not None and self._starts_lightly()
        if lightly and isinstance(method, CarryingMethod):
            with clock.stage("network"):
                estimate = method.begin(crop, roi)
        else:
            with clock.stage("head"):
                estimate = method.initialise(crop, roi)
        return Look(roi, self._decode(estimate.heatmaps, roi, clock), estimate, 0)

    def advance(self, image: Image, roi: Roi, last: Look, clock: StageClock) -> Look:
        """Carry the last frame's pose on into a region of this frame."""
        crop = self._crop(image, roi, clock)
        with clock.stage("network"):
            estimate = self._model.method.advance(crop, roi, last.estimate.state)
        age = 0 if estimate.origin is Origin.INITIALISED else last.key_frame_age + 1
        return Look(roi, self._decode(estimate.heatmaps, roi, clock), estimate, age)

    def _crop(self, image: Image, roi: Roi, clock: StageClock) -> Crop:
        with clock.stage("crop"):
            return crop_frame(image, roi, len(self._buffer), self._buffer)

    def _decode(self, heatmaps: Heatmaps, roi: Roi, clock: StageClock) -> Keypoints:
        with clock.stage("decode"):
            return self._model.method.spec.decode(heatmaps, roi)
