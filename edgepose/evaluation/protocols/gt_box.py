"""The ``gt-box`` protocol: every frame is cropped around the annotated person.

The method runs through the clip in order, with the state that the frame before left. Averaging
over mirrored and scaled copies follows the public protocol of LSTM Pose Machines: every copy is a
sequence of its own with its own state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.datasets.records import Image
from edgepose.evaluation.boxes import image_square, person_boxes
from edgepose.methods import Estimate, Method, MethodSpec
from edgepose.methods.base import Crop, Heatmaps
from edgepose.results import Origin
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi, roi_transform
from edgepose_runtime.poses.skeletons import Skeleton

PAPER_SCALES = (0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4)
"""The seven scales of the papers' multi-scale figures."""

CropConvention = Literal["person", "image"]
"""A square of 1.25 times the person's box, or of the network's input size in the frame as it is."""


@dataclass(frozen=True)
class GtBoxPredictor:
    """Predicts clips with the annotated boxes.

    Attributes:
        method: what is evaluated.
        segment_length: frames from one run of the head to the next; ``None`` for the first only.
        flip: average the heat-maps with those of the mirrored clip.
        scales: magnifications of the person; more than one sums the heat-maps in frame pixels.
        crop: what the network sees of a frame; see :data:`CropConvention`.
    """

    method: Method
    segment_length: int | None = None
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)
    crop: CropConvention = "person"

    def __post_init__(self) -> None:
        if self.segment_length is not None and self.segment_length < 1:
            raise ConfigError(f"A segment has at least 1 frame, not {self.segment_length}.")
        if not self.scales or min(self.scales) <= 0:
            raise ConfigError(f"Scales must be positive numbers; got {self.scales}.")

    @property
    def skeleton(self) -> Skeleton:
        """The order of the predicted joints."""
        return self.method.spec.skeleton

    def predict(self, clip: Clip) -> NDArray[np.float32]:
        """Return (T, K, 3): x, y in frame pixels and score; NaN for joints not found."""
        sides = (False, True) if self.flip else (False,)
        copies = [
            _Copy(self.method, scale, side, self.crop) for scale in self.scales for side in sides
        ]
        poses = []
        for index, (frame, box) in enumerate(zip(clip.frames(), person_boxes(clip), strict=True)):
            start = index == 0 or (self.segment_length and index % self.segment_length == 0)
            poses.append(self._pose(copies, frame, box, bool(start)))
        return np.stack(poses)

    def _pose(
        self, copies: list[_Copy], frame: Image, box: Roi, start: bool
    ) -> NDArray[np.float32]:
        spec = self.method.spec
        maps = [copy.heatmaps(frame, box, start) for copy in copies]
        if self.scales == (1.0,):
            return spec.decode(np.mean(maps, axis=0), copies[0].region(box))
        pasted = (
            _paste(heatmaps, spec, copy.region(box), frame.shape[1::-1])
            for heatmaps, copy in zip(maps, copies, strict=True)
        )
        return _peaks(np.asarray(sum(pasted)) / len(copies))


class BodyOnlyMethod:
    """The light network of a method by itself: each frame for itself, no head, no propagation."""

    def __init__(self, method: Method) -> None:
        self.spec = method.spec
        self.locate = method.locate

    def initialise(self, crop: Crop, roi: Roi) -> Estimate:
        """Run the light network."""
        return Estimate(self.locate(crop, roi), None, Origin.INITIALISED)

    def advance(self, crop: Crop, roi: Roi, state: None) -> Estimate:  # noqa: ARG002 - Method's signature
        """Run the light network: it has no state."""
        return self.initialise(crop, roi)


class _Copy:
    """One sequence: the clip at one magnification, mirrored or not, with the state it left."""

    def __init__(self, method: Method, scale: float, mirrored: bool, crop: CropConvention) -> None:
        self._method, self._scale, self._mirrored, self._crop = method, scale, mirrored, crop
        self._state: object = None

    def region(self, box: Roi) -> Roi:
        """The square around a person's box that shows the person magnified: a smaller one."""
        if self._crop == "person":
            return Roi.around(box.center, box.squared().width / self._scale)
        return image_square(box, self._method.spec.input_size, self._scale)

    def heatmaps(self, frame: Image, box: Roi, start: bool) -> Heatmaps:
        """Heat-maps (K, h, w) of ``self.region(box)``, upright."""
        region = self.region(box)
        crop = self._method.spec.view.crop(frame, region)
        if not self._mirrored:
            return self._run(crop, region, start)
        # The state remembers regions, so a mirrored copy must live in the mirrored frame.
        across = Roi(frame.shape[1] - region.x - region.width, *region.as_tuple()[1:])
        mirrored = self._run(np.ascontiguousarray(crop[:, ::-1]), across, start)
        return mirror_heatmaps(mirrored, self._method.spec)

    def _run(self, crop: Crop, region: Roi, start: bool) -> Heatmaps:
        if start:
            estimate = self._method.initialise(crop, region)
        else:
            estimate = self._method.advance(crop, region, self._state)
        self._state = estimate.state
        return estimate.heatmaps


def mirror_heatmaps(heatmaps: Heatmaps, spec: MethodSpec) -> Heatmaps:
    """Return the heat-maps (K, h, w) of a mirrored crop as those of the crop itself.

    Where cells do not lie symmetrically in the crop (offset 0, as in HRNet) the mirror image is a
    cell off and is moved back; the cell that comes in at the left is 0.
    """
    flipped = heatmaps[list(spec.skeleton.flip_order), :, ::-1]
    last = heatmaps.shape[-1] - 1
    shift = round((spec.input_size - 1 - 2 * spec.offset) / spec.stride - last)
    moved = np.zeros_like(heatmaps)
    moved[..., shift:] = flipped[..., : last + 1 - shift]
    return moved


def _paste(
    heatmaps: Heatmaps, spec: MethodSpec, roi: Roi, frame_size: tuple[int, ...]
) -> NDArray[np.float32]:
    """Resample heat-maps of a region to one value per frame pixel, bicubic, 0 outside."""
    to_cells = roi_transform(roi, spec.input_size)
    to_cells[:, 2] -= spec.offset
    to_cells /= spec.stride
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    return np.stack([cv2.warpAffine(each, to_cells, frame_size, flags=flags) for each in heatmaps])


def _peaks(canvas: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return the highest pixel (K, 3) of each map; NaN with score 0 where nothing is above 0."""
    flat = canvas.reshape(len(canvas), -1)
    y, x = np.unravel_index(flat.argmax(axis=1), canvas.shape[1:])
    score = flat.max(axis=1)
    poses = np.stack([x, y, score.clip(0, 1)], axis=-1).astype(np.float32)
    poses[score <= 0, :2] = np.nan
    return poses
