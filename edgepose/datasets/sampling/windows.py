"""Frames to be cropped: single pictures, windows of a clip, or a still picture that moves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.boxes import corners_box, joints_box
from edgepose.datasets.labels import mark_absent, mask_missing, mask_outside, present
from edgepose.datasets.records import Image, Keypoints, PersonClip, PersonImage
from edgepose.datasets.sampling.augmentation import Augmentation
from edgepose.datasets.sampling.synthetic_motion import draw_motion, moved
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton

AT_REST = np.eye(2, 3)
#: A person of whom fewer joints are left is not cut.
LEAST_JOINTS_LEFT = 3
# How often a picture ends at the left, above, right and below, and how much of the person is kept.
_ENDS = np.array([0.1, 0.1, 0.1, 0.7])
_KEPT = ((0.45, 0.9), (0.7, 0.95), (0.45, 0.9), (0.25, 0.9))


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


def open_frame(record: PersonImage, skeleton: Skeleton | None = None) -> Frame:
    """Decode a picture and leave out the joints that lie outside it.

    The box of a picture without a person is the whole picture.

    Args:
        record: the person.
        skeleton: names the joints, so that those outside are to have empty maps (`mark_absent`);
            None leaves them out.

    Raises:
        DataError: the picture cannot be decoded.
    """
    image = record.image()
    height, width = image.shape[:2]
    if record.nobody:
        return Frame(image, record.keypoints, Roi(0, 0, width, height), AT_REST)
    known = mask_missing(record.keypoints)
    inside = mask_outside(known, width, height)
    box = corners_box(record.box) or joints_box(inside)
    if skeleton is None or not inside[:, 2].any():
        return Frame(image, inside, box, AT_REST)
    return Frame(image, mark_absent(known, width, height, skeleton), box, AT_REST)


def cut_frame(rng: np.random.Generator, frame: Frame, skeleton: Skeleton) -> Frame:
    """Let the picture end somewhere within the person, below as a rule.

    The frame comes back as it is where fewer than three joints would be left.
    """
    if frame.box is None:
        return frame
    kept = _part_within(rng, frame.box, *frame.image.shape[1::-1])
    left, top, right, bottom = kept
    image = frame.image[top:bottom, left:right]
    # Joints that are absent already stay so, far outside any part; of those at 0 nothing is known.
    shifted = frame.keypoints - np.array([left, top, 0], np.float32)
    shifted[~frame.keypoints.any(axis=1)] = 0
    keypoints = mark_absent(shifted, right - left, bottom - top, skeleton)
    box = joints_box(present(keypoints))
    if box is None or (present(keypoints)[:, 2] > 0).sum() < LEAST_JOINTS_LEFT:
        return frame
    return Frame(image, keypoints, box, AT_REST)


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


def animate_still(rng: np.random.Generator, record: PersonImage, length: int) -> list[Frame] | None:
    """Turn a still into frames of a random motion; None if it has no known box or joints.

    Raises:
        DataError: the picture cannot be decoded.
    """
    still = open_frame(record)
    if still.box is None:
        return None
    square = still.box.squared()
    motions = draw_motion(rng, length, np.array(square.center), square.width)
    return [_moved(still, still.box, motion) for motion in motions]


def fill_missing_boxes(frames: Sequence[Frame]) -> list[Roi] | None:
    """Return each frame's box, missing ones from the frame before; None if the first has none."""
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


def _part_within(
    rng: np.random.Generator, box: Roi, width: int, height: int
) -> tuple[int, int, int, int]:
    """The left, upper, right and lower end of what is kept of a picture."""
    end = int(rng.choice(4, p=_ENDS))
    kept = rng.uniform(*_KEPT[end])
    ends = [0, 0, width, height]
    along, side = (box.x, box.width) if end % 2 == 0 else (box.y, box.height)
    place = along + side * (kept if end >= 2 else 1 - kept)
    ends[end] = int(np.clip(place, 1, (width if end % 2 == 0 else height) - 1))
    return ends[0], ends[1], ends[2], ends[3]
