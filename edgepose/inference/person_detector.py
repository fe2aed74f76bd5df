"""Boxes of people in a whole frame, by the bundle's person detector."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Image
from edgepose.inference.model import PoseModel
from edgepose_runtime.backends.base import Network
from edgepose_runtime.bundles.manifest import DetectorSpec
from edgepose_runtime.geometry.boxes import Boxes, box_overlaps
from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.geometry.roi import Roi

#: Side of the square around a detected box that the network sees, in parts of its longer side.
BOX_FACTOR = 1.2
#: Boxes that are compared with each other, at most: the surest ones.
MOST_CANDIDATES = 300
#: Half a person, or a blurred one, looks less like one: from this part of the threshold on, a box
#: may be worth a look.
DOUBTFUL_SCORE = 0.55
#: A box is cut off if it ends within this part of the frame's longer side from the lower edge.
AT_EDGE = 0.01


class PersonRegion(NamedTuple):
    """A region that may show a person.

    Attributes:
        roi: the region.
        is_sure: whether the detector's threshold is reached.
        is_cut_off: whether the person may go on below the frame.
    """

    roi: Roi
    is_sure: bool
    is_cut_off: bool


class PersonDetector:
    """Finds people in whole frames. For one thread at a time; the network may be shared.

    Args:
        network: see :class:`~edgepose_runtime.bundles.manifest.DetectorSpec`.
        spec: how its output is read.
    """

    def __init__(self, network: Network, spec: DetectorSpec) -> None:
        self._network = network
        self._spec = spec
        self._buffer = np.empty((spec.size, spec.size, 3), np.uint8)
        self._points = {stride: _grid(spec.size // stride, stride) for stride in spec.strides}

    @property
    def score_threshold(self) -> float:
        """From this score on a box counts as a person."""
        return self._spec.score_threshold

    def detect(self, image: NDArray[np.uint8], min_score: float | None = None) -> Boxes:
        """Return the people in a frame, the surest first.

        Args:
            image: uint8 BGR (H, W, 3).
            min_score: from 0 to 1; ``None`` for the bundle's threshold.

        Returns:
            float64 (N, 5): x1, y1, x2, y2 in frame pixels with pixel centres at integers, clipped
            to the frame, and the score.
        """
        height, width = image.shape[:2]
        square = Roi.around(((width - 1) / 2, (height - 1) / 2), max(width, height))
        crop = crop_frame(image, square, self._spec.size, self._buffer)
        maps = self._network.infer({"frame": crop[None]})
        bar = self._spec.score_threshold if min_score is None else min_score
        boxes = self._decode({name: each[0] for name, each in maps.items()}, bar)
        boxes = keep_best(boxes, self._spec.max_overlap)
        scale = max(width, height) / self._spec.size
        boxes[:, :4] = boxes[:, :4] * scale + np.tile([square.x - 0.5, square.y - 0.5], 2)
        boxes[:, :4] = np.clip(boxes[:, :4], -0.5, np.tile([width - 0.5, height - 0.5], 2))
        return boxes[(boxes[:, 2:4] > boxes[:, :2]).all(axis=1)]

    def warmup(self) -> None:
        """Run the network once, on an empty picture."""
        self.detect(np.full((240, 320, 3), 128, np.uint8))

    def _decode(self, maps: dict[str, NDArray[np.float32]], bar: float) -> Boxes:
        """Return the boxes (N, 5) of all maps that reach a score, in pixels of the input."""
        logit = _logit(bar)
        found = [_boxes(maps[f"stride_{s}"], points, logit) for s, points in self._points.items()]
        boxes: Boxes = np.concatenate(found)
        return boxes


def box_region(box: NDArray[np.float64]) -> Roi:
    """Return the square in which the network sees the person of a detected box."""
    left, top, right, bottom = box[:4].tolist()
    side = BOX_FACTOR * max(right - left, bottom - top)
    return Roi.around(((left + right) / 2, (top + bottom) / 2), side)


def person_regions(model: PoseModel) -> Callable[[Image], list[PersonRegion]] | None:
    """Return a function from frames to the regions of people in them, the likeliest first.

    Large people come before small ones that are about as sure, doubtful ones last. The detector is
    loaded when it is first needed. ``None`` for a model without one.
    """
    if not model.has_detector:
        return None

    @cache
    def detector() -> PersonDetector:
        return PersonDetector(*model.detector())

    def regions(image: Image) -> list[PersonRegion]:
        sure_score = detector().score_threshold
        boxes = detector().detect(image, DOUBTFUL_SCORE * sure_score)
        sure, cut_off = boxes[:, 4] >= sure_score, _are_cut_off(boxes, image.shape)
        sides = (boxes[:, 2:4] - boxes[:, :2]).max(axis=1, initial=0.0)
        order = np.lexsort([-boxes[:, 4] * np.sqrt(sides), ~sure])
        return [PersonRegion(box_region(boxes[i]), bool(sure[i]), bool(cut_off[i])) for i in order]

    return regions


def keep_best(boxes: Boxes, max_overlap: float) -> Boxes:
    """Drop boxes that overlap a surer one: greedy non-maximum suppression.

    Args:
        boxes: (N, 5) x1, y1, x2, y2, score.
        max_overlap: the largest intersection over union of two boxes that both stay.

    Returns:
        Those that stay, the surest first.
    """
    order = np.argsort(-boxes[:, 4], kind="stable")[:MOST_CANDIDATES]
    boxes = boxes[order]
    too_close = box_overlaps(boxes, boxes) > max_overlap
    kept: list[int] = []
    for index in range(len(boxes)):
        if not too_close[index, kept].any():
            kept.append(index)
    return boxes[kept]


def _are_cut_off(boxes: Boxes, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Return which boxes (N, 5) end at the lower edge of an image of a shape."""
    height, width = shape[:2]
    at_edge: NDArray[np.bool_] = boxes[:, 3] >= height - 1 - AT_EDGE * max(height, width)
    return at_edge


def _grid(side: int, stride: int) -> NDArray[np.float64]:
    """Return the points (side, side, 2) x, y of a map's cells in pixels of the input."""
    y, x = np.mgrid[:side, :side] * float(stride)
    return np.stack([x, y], axis=-1)


def _boxes(cells: NDArray[np.float32], points: NDArray[np.float64], logit: float) -> Boxes:
    chosen = cells[..., 0] >= logit
    logits, reach = cells[chosen][:, :1].astype(np.float64), cells[chosen][:, 1:]
    at = points[chosen]
    return np.concatenate([at - reach[:, :2], at + reach[:, 2:], 1 / (1 + np.exp(-logits))], axis=1)


def _logit(score: float) -> float:
    with np.errstate(divide="ignore"):
        return float(np.log(score) - np.log1p(-score))
