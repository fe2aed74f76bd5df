"""The box around the annotated person in every frame of a clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.boxes import corners_box, joints_box
from edgepose.datasets.clips import Clip
from edgepose_runtime.errors import DataError
from edgepose_runtime.geometry.roi import Roi

#: Room around a person who is too large for a crop of the ``image`` convention; training, which
#: turns and shifts people, leaves more.
IMAGE_CROP_FACTOR = 1.05


def person_boxes(clip: Clip) -> list[Roi]:
    """Return one box per frame: the annotated one, else the extent of the scored joints enlarged.

    A frame without annotation has the box of the frame before it; frames before the first
    annotated one have the first box.

    Raises:
        DataError: no frame of the clip is annotated.
    """
    boxes = [_box(clip, frame) for frame in range(len(clip))]
    last = next((box for box in boxes if box is not None), None)
    if last is None:
        raise DataError(f"The clip {clip.name} has no annotated frame, so it cannot be evaluated.")
    filled = []
    for box in boxes:
        last = box or last
        filled.append(last)
    return filled


def image_square(box: Roi, size: int, scale: float = 1.0) -> Roi:
    """Return the square around a person's box by the ``image`` convention.

    The frame is magnified, and a crop of the network's input size is cut out of it; where the
    person does not fit, a larger one.

    Args:
        box: of the person, in frame pixels.
        size: side of the network's input in pixels.
        scale: magnification of the frame.
    """
    side, longer = size / scale, max(box.width, box.height)
    return Roi.around(box.center, side if longer <= side else IMAGE_CROP_FACTOR * longer)


def box_corners(boxes: list[Roi]) -> NDArray[np.float64]:
    """Return the outermost pixel coordinates of each box, (T, 4) as x1, y1, x2, y2."""
    return np.array(
        [[x - 0.5, y - 0.5, x - 0.5 + width, y - 0.5 + height] for x, y, width, height in boxes]
    )


def _box(clip: Clip, frame: int) -> Roi | None:
    if clip.boxes is not None:
        return corners_box(clip.boxes[frame])
    return joints_box(clip.keypoints[frame])
