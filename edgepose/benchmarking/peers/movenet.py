"""MoveNet Lightning: one person, 192x192, 17 COCO joints."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.backends import Network
from edgepose_runtime.geometry.roi import Roi, crop_to_frame, roi_transform
from edgepose_runtime.poses.skeletons import COCO17

SIZE = 192


class MoveNet:
    """The network on the square around a person's box."""

    skeleton = COCO17

    def __init__(self, network: Network) -> None:
        self._network = network
        (self._input,) = network.inputs

    def __call__(self, frame: NDArray[np.uint8], box: Roi) -> NDArray[np.float32]:
        """Return (17, 3): x, y in frame pixels and score."""
        roi = box.squared()
        crop = cv2.warpAffine(frame, roi_transform(roi, SIZE), (SIZE, SIZE))
        tensor = cv2.cvtColor(crop, cv2.COLOR_BGR2RGB).astype(np.int32)[None]
        (answer,) = self._network.infer({self._input: tensor}).values()
        y, x, score = np.moveaxis(answer[0, 0], -1, 0)
        points = crop_to_frame(np.stack([x, y], -1) * SIZE - 0.5, roi, SIZE)
        return np.concatenate([points, score[:, None]], axis=-1)
