"""Where something moves in front of a still camera: a cheap hint for the person search."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.roi import Roi

#: Longer side of the thumbnails that are compared, in pixels, and samples per such pixel.
THUMBNAIL_SIDE = 64
SAMPLES = 4
#: How far a grey level must be from the background's, beside what noise explains.
MIN_CHANGE = 10.0
NOISE_FACTOR = 4.0
#: A median change of so many grey levels is another scene.
CUT_CHANGE = 20.0
#: The part of a change that the background takes over in each frame.
LEARNING_RATE = 0.05
#: Thumbnail pixels that move together, at least.
MIN_PIXELS = 6
#: Extent of the region in parts of what moves: the parts of a person that stand still are beside.
REGION_FACTOR = 1.25

Thumbnail = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Motion:
    """What changed against the background.

    Attributes:
        region: square around the largest thing that moves, in frame pixels; ``None`` for none.
        is_cut: the whole picture is another one.
    """

    region: Roi | None = None
    is_cut: bool = False


class MotionDetector:
    """Compares thumbnails of frames with a slowly adapted background. Not locked.

    It costs a small part of a look at a region: 256 samples of the longer side are read, whatever
    the frame's resolution. In noise, and where the camera itself moves, nothing stands out.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Make the next frame the background."""
        self._background: Thumbnail | None = None
        self._shape: tuple[int, ...] = ()

    def detect(self, image: NDArray[np.uint8]) -> Motion:
        """Return what moves in a frame, uint8 BGR (H, W, 3), and adapt the background."""
        small = _thumbnail(image)
        background = self._background
        if background is None or image.shape != self._shape:
            self._background, self._shape = small, image.shape
            return Motion()
        change = np.abs(small - background)
        noise = float(np.median(change))
        if noise > CUT_CHANGE:
            self._background = small
            return Motion(is_cut=True)
        cv2.accumulateWeighted(small, background, LEARNING_RATE)
        moving = change > MIN_CHANGE + NOISE_FACTOR * noise
        return Motion(_region(moving, image.shape))


def _thumbnail(image: NDArray[np.uint8]) -> Thumbnail:
    """Return the green channel, averaged over a grid of samples."""
    height, width = image.shape[:2]
    longer = max(height, width)
    step = max(1, longer // (THUMBNAIL_SIDE * SAMPLES))
    samples = np.ascontiguousarray(image[::step, ::step, 1])
    scale = min(1.0, THUMBNAIL_SIDE / longer)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(samples, size, interpolation=cv2.INTER_AREA).astype(np.float32)


def _region(moving: NDArray[np.bool_], shape: tuple[int, ...]) -> Roi | None:
    """Return the square around the largest connected part of a mask, in frame pixels."""
    joined = cv2.dilate(moving.astype(np.uint8), np.ones((3, 3), np.uint8))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(joined)
    sizes = np.bincount(labels[moving], minlength=len(boxes))
    sizes[0] = 0
    largest = int(sizes.argmax())
    if sizes[largest] < MIN_PIXELS:
        return None
    x, y, width, height = (float(value) for value in boxes[largest, :4])
    scale_x, scale_y = shape[1] / moving.shape[1], shape[0] / moving.shape[0]
    box = Roi(x * scale_x, y * scale_y, width * scale_x, height * scale_y)
    region = box.squared(REGION_FACTOR)
    # As large as the frame it would only repeat the search's first region.
    return region if region.width < max(shape[:2]) else None
