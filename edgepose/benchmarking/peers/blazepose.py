"""BlazePose lite, full and heavy: MediaPipe's landmark networks, 256x256, 33 landmarks."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import person_boxes
from edgepose_runtime.backends import Network
from edgepose_runtime.geometry.roi import Roi, roi_transform
from edgepose_runtime.poses.skeletons import COCO17

SIZE, CELLS = 256, 64
#: BlazePose's landmarks in the order of coco17: nose, eyes, ears, then shoulders to ankles.
LANDMARKS = [0, 2, 5, 7, 8, 11, 12, 13, 14, 15, 16, 23, 24, 25, 26, 27, 28]
#: Landmarks of the middle of the hips, and of a point on the circle around the whole body.
MIDDLE, CIRCLE = 33, 34
REGION_FACTOR = 1.25
#: MediaPipe's refinement: the mean over 7x7 cells around a landmark, where one is at least 0.5.
REACH, LEAST = 3, 0.5
#: Below this the person is lost.
LEAST_PRESENCE = 0.5
START_ITERATIONS = 4

FloatArray = NDArray[np.floating]


class LandmarkOutput(NamedTuple):
    """The network's output for one region.

    Attributes:
        pose: float32 (17, 3): x, y in frame pixels and score.
        presence: how sure it is that there is a person, 0 to 1.
        region: the affine map (2, 3) to the crop that the next frame should be cropped with.
    """

    pose: NDArray[np.float32]
    presence: float
    region: FloatArray


class BlazePose:
    """The network on the square around a person's box."""

    skeleton = COCO17

    def __init__(self, network: Network) -> None:
        self._network = network
        (self._input,) = network.inputs
        shapes = {tuple(spec.shape[1:]): name for name, spec in network.outputs.items()}
        self._landmarks, self._heatmaps = shapes[195,], shapes[CELLS, CELLS, 39]
        self._presence = shapes[1,]

    def __call__(self, frame: NDArray[np.uint8], box: Roi) -> NDArray[np.float32]:
        """Return (17, 3): x, y in frame pixels and score."""
        return self.estimate(frame, roi_transform(box.squared(), SIZE)).pose

    def estimate(self, frame: NDArray[np.uint8], affine: FloatArray) -> LandmarkOutput:
        """Run the network on one region.

        Args:
            frame: uint8 (H, W, 3) BGR.
            affine: (2, 3) map from the frame to the crop.
        """
        crop = cv2.cvtColor(cv2.warpAffine(frame, affine, (SIZE, SIZE)), cv2.COLOR_BGR2RGB)
        answer = self._network.infer({self._input: crop.astype(np.float32)[None] / 255})
        landmarks = answer[self._landmarks].reshape(39, 5)[[*LANDMARKS, MIDDLE, CIRCLE]]
        heatmaps = answer[self._heatmaps][0][..., [*LANDMARKS, MIDDLE, CIRCLE]]
        points = _to_frame(refine(landmarks[:, :2], heatmaps), affine)
        pose = np.column_stack([points, _sigmoid(landmarks[:, 3])]).astype(np.float32)
        return LandmarkOutput(
            pose[:-2], answer[self._presence].item(), own_region(points[-2:], affine)
        )


class BlazePoseTracker:
    """BlazePose as MediaPipe runs it: each frame is cropped as the frame before asks for.

    That crop is turned upright, around the middle of the hips. MediaPipe's detector finds the
    first one; here it is the square around the annotated box, looked at several times.
    """

    skeleton = COCO17

    def __init__(self, network: Network) -> None:
        self._network = BlazePose(network)

    def predict(self, clip: Clip) -> NDArray[np.float32]:
        """Return (T, 17, 3): x, y in frame pixels and score."""
        poses, estimate = [], None
        for frame, box in zip(clip.frames(), person_boxes(clip), strict=True):
            if estimate is not None:
                estimate = self._network.estimate(frame, estimate.region)
            if estimate is None or estimate.presence < LEAST_PRESENCE:
                estimate = self._start(frame, box)
            poses.append(estimate.pose)
        return np.stack(poses)

    def _start(self, frame: NDArray[np.uint8], box: Roi) -> LandmarkOutput:
        estimate = self._network.estimate(frame, roi_transform(box.squared(), SIZE))
        for _ in range(START_ITERATIONS - 1):
            estimate = self._network.estimate(frame, estimate.region)
        return estimate


def own_region(points: FloatArray, otherwise: FloatArray) -> FloatArray:
    """Return the affine map (2, 3) from the frame to the crop that BlazePose asks for.

    Args:
        points: (2, 2) the middle of the hips and a point on the circle around the body, in frame
            pixels; the crop is turned so that the second lies above the first.
        otherwise: returned where the points coincide.
    """
    middle, up = points[0], points[1] - points[0]
    radius = float(np.hypot(*up))
    if radius < 1:
        return otherwise
    x, y = up / radius
    scale = SIZE / (2 * REGION_FACTOR * radius)
    turn = scale * np.array([[-y, x], [-x, -y]])
    return np.column_stack([turn, (SIZE - 1) / 2 - turn @ middle])


def refine(points: FloatArray, heatmaps: FloatArray) -> NDArray[np.float64]:
    """Return landmarks moved to the middle of mass around them in their heat-maps.

    Args:
        points: (K, 2) in pixels of the crop, from its corner.
        heatmaps: (64, 64, K) logits.
    """
    refined = np.array(points, dtype=np.float64)
    offsets = np.arange(-REACH, REACH + 1)
    cells = (points * (CELLS / SIZE)).astype(int)
    x, y = (cells[:, axis, None] + offsets for axis in (0, 1))
    inside = _is_cell(y)[:, :, None] & _is_cell(x)[:, None, :]
    index = y.clip(0, CELLS - 1)[:, :, None], x.clip(0, CELLS - 1)[:, None, :]
    weight = _sigmoid(heatmaps[(*index, np.arange(len(points))[:, None, None])]) * inside
    fit = (weight.max(axis=(1, 2)) >= LEAST) & _is_cell(cells).all(axis=1)
    mass = np.where(fit, weight.sum(axis=(1, 2)), 1)
    moved = np.stack([(weight.sum(1) * x).sum(1) / mass, (weight.sum(2) * y).sum(1) / mass], -1)
    refined[fit] = moved[fit] * (SIZE / CELLS)
    return refined


def _is_cell(numbers: NDArray[np.signedinteger]) -> NDArray[np.bool_]:
    return (numbers >= 0) & (numbers < CELLS)


def _sigmoid(logits: FloatArray) -> FloatArray:
    probabilities: FloatArray = 0.5 * (1 + np.tanh(0.5 * logits))
    return probabilities


def _to_frame(points: FloatArray, affine: FloatArray) -> FloatArray:
    """Return points of the crop, from its corner, in frame pixels with centres at integers."""
    back = cv2.invertAffineTransform(affine)
    return (points - 0.5) @ back[:, :2].T + back[:, 2]
