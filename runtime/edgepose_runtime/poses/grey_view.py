"""Grey views of a region, in which the movement of joints is followed."""

from __future__ import annotations

import numpy as np

from edgepose_runtime.geometry.crop import Image, crop_frame
from edgepose_runtime.geometry.roi import Roi

#: A region of a frame in grey, and halved again and again; each enlarged by what borders repeat.
View = tuple[Image, ...]

#: Side of the grey picture in which movement is followed: 0.06 ms to crop, and fine enough.
VIEW_SIZE = 96
#: How often the picture is halved: a joint may move by a fifth of the view from frame to frame.
HALVINGS = 2
#: What each level of a pyramid repeats of the picture on every side: a patch may begin outside.
BORDER = 22


def grey_view(frame: Image, roi: Roi) -> Image:
    """Return a region of a BGR frame in grey, uint8 (S, S) with S = :data:`VIEW_SIZE`."""
    import cv2  # here, so that importing this package stays cheap

    grey: Image = np.asarray(
        cv2.cvtColor(crop_frame(frame, roi, VIEW_SIZE), cv2.COLOR_BGR2GRAY), np.uint8
    )
    return grey


def view_of_crop(crop: Image, size: int) -> View:
    """Return the levels in grey of the region in the middle of a crop.

    Args:
        crop: uint8 BGR (H, W, 3). What it does not show of the region is what is at its border.
        size: side of the region in the crop's pixels, at least `VIEW_SIZE`.
    """
    import cv2

    shown = _middle(crop, size)
    grey = cv2.cvtColor(shown, cv2.COLOR_BGR2GRAY)
    rows, columns = (round(side * VIEW_SIZE / size) for side in grey.shape)
    small = cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_AREA)
    if (rows, columns) != (VIEW_SIZE, VIEW_SIZE):
        small = _enlarged(np.asarray(small, np.uint8))
    return view_of(np.asarray(small, np.uint8))


def _middle(image: Image, size: int) -> Image:
    """Return at most so many rows and columns from the middle of an image."""
    top, left = (max(side - size, 0) // 2 for side in image.shape[:2])
    return image[top : top + size, left : left + size]


def _enlarged(small: Image) -> Image:
    """Return an image as the middle of a view: its border repeats."""
    import cv2

    below, right = (VIEW_SIZE - side for side in small.shape)
    edges = below // 2, below - below // 2, right // 2, right - right // 2
    return np.asarray(cv2.copyMakeBorder(small, *edges, cv2.BORDER_REPLICATE), np.uint8)


def view_of(grey: Image) -> View:
    """Return the levels of a grey picture, uint8 (S, S), that patches are followed on."""
    import cv2

    levels = [grey]
    for _ in range(HALVINGS):
        levels.append(np.asarray(cv2.pyrDown(levels[-1]), np.uint8))
    enlarged = (BORDER,) * 4
    return tuple(
        np.asarray(cv2.copyMakeBorder(level, *enlarged, cv2.BORDER_REFLECT_101), np.uint8)
        for level in levels
    )
