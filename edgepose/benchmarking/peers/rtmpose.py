"""RTMPose-s: top-down, 256x192, 26 Halpe joints. Its training set included sub-JHMDB."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.backends import Network
from edgepose_runtime.geometry.roi import PERSON_CROP_FACTOR, Roi, crop_to_frame, roi_transform
from edgepose_runtime.poses.skeletons import HALPE26

HEIGHT, WIDTH = 256, 192
BINS_PER_PIXEL = 2
MEAN = np.array([123.675, 116.28, 103.53], np.float32)
DEVIATION = np.array([58.395, 57.12, 57.375], np.float32)
#: Of the network's input and outputs, for one person.
SHAPES = {
    "input": (1, 3, HEIGHT, WIDTH),
    "simcc_x": (1, HALPE26.num_joints, WIDTH * BINS_PER_PIXEL),
    "simcc_y": (1, HALPE26.num_joints, HEIGHT * BINS_PER_PIXEL),
}
_MIRRORED = list(HALPE26.flip_order)
Curves = NDArray[np.float32]


class RtmPose:
    """The network on the 3:4 window around a person's box.

    Args:
        network: RTMPose with inputs of 256x192 and 26 joints.
        mirrored: average its answer with the one for the mirror image, as a teacher should.
    """

    skeleton = HALPE26

    def __init__(self, network: Network, *, mirrored: bool = False) -> None:
        self._network, self._mirrored = network, mirrored

    def __call__(self, frame: NDArray[np.uint8], box: Roi) -> NDArray[np.float32]:
        """Return (26, 3): x, y in frame pixels and score."""
        # The window is cut from the square of its height, whose sides the network does not see.
        side = PERSON_CROP_FACTOR * max(box.height, box.width * HEIGHT / WIDTH)
        square = Roi.around(box.center, side)
        affine = roi_transform(square, HEIGHT)
        beside = (HEIGHT - WIDTH) // 2
        affine[0, 2] -= beside
        rgb = cv2.warpAffine(frame, affine, (WIDTH, HEIGHT))[..., ::-1]
        tensor = ((rgb - MEAN) / DEVIATION).transpose(2, 0, 1)[None]
        along_x, along_y = self._curves(tensor)
        pixels = np.stack([along_x.argmax(-1), along_y.argmax(-1)], -1) / BINS_PER_PIXEL
        points = crop_to_frame(pixels + np.array([beside, 0]), square, HEIGHT)
        score = np.minimum(along_x.max(-1), along_y.max(-1))
        return np.concatenate([points, score[:, None]], axis=-1).astype(np.float32)

    def _curves(self, tensor: NDArray[np.float32]) -> tuple[Curves, Curves]:
        """Return the scores (26, bins) of the places along x and along y."""
        answer = self._network.infer({"input": tensor})
        along_x, along_y = answer["simcc_x"][0], answer["simcc_y"][0]
        if not self._mirrored:
            return along_x, along_y
        answer = self._network.infer({"input": np.ascontiguousarray(tensor[..., ::-1])})
        # Pixel p of the mirror image is pixel 191 - p, so its bin b is bin 382 - b.
        flipped_x = np.roll(answer["simcc_x"][0][_MIRRORED, ::-1], -1, axis=1)
        return (along_x + flipped_x) / 2, (along_y + answer["simcc_y"][0][_MIRRORED]) / 2
