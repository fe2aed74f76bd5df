"""Frames to be cropped: single pictures, windows of a clip, or a still picture that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.boxes import corners_box, joints_box
from edgepose.datasets.labels import mask_missing, mask_outside
from edgepose.datasets.records import Image, Keypoints, PersonClip, PersonImage
from edgepose.datasets.sampling.augmentation import Augmentation
from edgepose.datasets.sampling.synthetic_motion import draw_motion, moved
from edgepose_runtime.geometry.roi import Roi

AT_REST = np.eye(2, 3)


@dataclass(frozen=True)
class Frame:
    """A decoded picture of a person.

    Attributes:
        image: uint8 (H, W, 3) BGR.
        keypoints: float32 (K, 3) x, y in pixels and a weight, 0 for joints unknown or outside.
        box: around the person, in pixels; None if nobody knows.
        motion: float64 (2, 3) from the image's pixels to those that keypoints and box are in.
    """

    image: Image
    keypoints: Keypoints
    box: Roi | None
    motion: NDArray[np.float64]


def open_frame(record: PersonImage) -> Frame:
    """Decode a picture and leave out the joints that lie outside it.

    The box of a picture without a person is the whole picture.

    Raises:
        DataError: the picture cannot be decoded.
    """
    image = record.image()
    height, width = image.shape[:2]
    if record.nobody:
        return Frame(image, record.keypoints, Roi(0, 0, width, height), AT_REST)
    keypoints = mask_outside(mask_missing(record.keypoints), width, height)
    return Frame(image, keypoints, corners_box(record.box) or joints_box(keypoints), AT_REST)


def clip_window(
    rng: np.random.Generator, clip: PersonClip, length: int, settings: Augmentation
) -> list[Frame] | None:
    """Draw frames of a clip at even distances, in either direction; None if it is too short.

    Raises:
        DataError: a picture cannot be decoded.
    """
    skip = len(clip) >= 2 * length and rng.random() < settings.skip_probability
    stride = 2 if skip else 1
    span = (length - 1) * stride + 1
    if len(clip) < span:
        return None
    first = int(rng.integers(len(clip) - span + 1))
    frames = [open_frame(clip.frame(first + index * stride)) for index in range(length)]
    return frames[::-1] if rng.random() < settings.reverse_probability else frames


def moving_still(rng: np.random.Generator, record: PersonImage, length: int) -> list[Frame] | None:
    """Draw a motion for a still; None if nobody knows where the person is.

    Raises:
        DataError: the picture cannot be decoded.
    """
    still = open_frame(record)
    if still.box is None:
        return None
    square = still.box.squared()
    motions = draw_motion(rng, length, np.array(square.center), square.width)
    return [_moved(still, still.box, motion) for motion in motions]


def carried_boxes(frames: Sequence[Frame]) -> list[Roi] | None:
    """Each frame's box, or where it has none that before it; None if the first has none."""
    boxes: list[Roi] = []
    for frame in frames:
        box = frame.box or (boxes[-1] if boxes else None)
        if box is None:
            return None
        boxes.append(box)
    return boxes


def _moved(still: Frame, box: Roi, motion: NDArray[np.float64]) -> Frame:
    zoom = float(np.sqrt(np.linalg.det(motion[:, :2])))
    x, y = motion[:, :2] @ box.center + motion[:, 2]
    there = Roi.around((float(x), float(y)), box.width * zoom, box.height * zoom)
    return Frame(still.image, moved(still.keypoints, motion), there, motion)
