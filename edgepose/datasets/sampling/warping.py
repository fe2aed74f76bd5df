"""Crops that are turned and mirrored: picture and keypoints go through one matrix."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.records import Image, Keypoints
from edgepose.datasets.sampling.augmentation import Placement
from edgepose_runtime.geometry.crop import BACKGROUND, Color
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton

Matrix = NDArray[np.float64]

#: Below this zoom, linear interpolation leaves out pixels: the picture is halved first.
LEAST_ZOOM = 0.6


def crop_matrix(square: Roi, placement: Placement, size: int) -> Matrix:
    """Return the (2, 3) affine that maps picture pixels to pixels of a size × size crop.

    It turns the square around its middle and mirrors it as `placement` says; with neither it is
    `edgepose_runtime.geometry.roi.roi_transform`.
    """
    zoom, angle = size / square.width, np.deg2rad(placement.angle)
    mirror = -1.0 if placement.flip else 1.0
    linear = zoom * np.array(
        [
            [mirror * np.cos(angle), -mirror * np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
    )
    offset = (size - 1) / 2 - linear @ np.array(square.center)
    return np.concatenate([linear, offset[:, None]], axis=1)


def warp_image(
    image: Image,
    matrix: Matrix,
    size: int,
    canvas: Image | None = None,
    background: Color = BACKGROUND,
) -> Image:
    """Return the size × size crop, uint8 BGR.

    Args:
        image: uint8 (H, W, 3) BGR.
        matrix: from its pixels to those of the crop.
        size: the crop's side in pixels.
        canvas: what is seen outside the picture, uint8 (size, size, 3), painted over; None for
            an even colour.
        background: that colour: blue, green and red from 0 to 255.
    """
    while np.sqrt(abs(np.linalg.det(matrix[:, :2]))) < LEAST_ZOOM and min(image.shape[:2]) > 1:
        image = np.asarray(
            cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8
        )
        # Pixel centres: x = 2 x_half + 0.5.
        offset = matrix[:, 2] + matrix[:, :2].sum(axis=1) / 2
        matrix = np.concatenate([matrix[:, :2] * 2, offset[:, None]], axis=1)
    if canvas is not None:
        cv2.warpAffine(
            image, matrix, (size, size), canvas, cv2.INTER_LINEAR, cv2.BORDER_TRANSPARENT
        )
        return canvas
    warped = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=background
    )
    return np.asarray(warped, np.uint8)


def warp_keypoints(
    keypoints: Keypoints, matrix: Matrix, skeleton: Skeleton, flip: bool
) -> Keypoints:
    """Map (K, 3) keypoints into the crop and exchange left and right when it is mirrored."""
    out = keypoints.copy()
    out[:, :2] = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return out[list(skeleton.flip_order)] if flip else out
