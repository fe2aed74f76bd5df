"""Grey thumbnails of the tracked regions, and optical flow of joints between them."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.crop import crop_frame
from edgepose_runtime.geometry.roi import Roi, crop_to_frame, frame_to_crop

#: Side of a thumbnail in pixels: 25 kB are kept of each frame.
SIDE = 160
_WINDOW = (17, 17)
_LEVELS = 3
#: How far from its start a joint may come to lie when it is followed forward and backward.
_RETURN_PX = 4.0


@dataclass(frozen=True, slots=True, eq=False)
class Thumbnail:
    """A region of a frame: uint8 (SIDE, SIDE) grey values."""

    grey: NDArray[np.uint8]
    roi: Roi


def take_thumbnail(image: NDArray[np.uint8], roi: Roi) -> Thumbnail:
    """Return the thumbnail of a region of a frame, uint8 BGR (H, W, 3)."""
    grey = cv2.cvtColor(crop_frame(image, roi, SIDE), cv2.COLOR_BGR2GRAY)
    return Thumbnail(np.asarray(grey, np.uint8), roi)


def follow_points(
    points: NDArray[np.float32], before: Thumbnail, now: Thumbnail
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Follow points from one thumbnail to a later one (Lucas-Kanade optical flow).

    Args:
        points: (K, 2) in frame pixels; NaN for those that are not there.
        before: shows them.
        now: shows them moved.

    Returns:
        How far each moved (K, 2) in frame pixels, and which were found, (K,). Those that were not
        move along with the others.
    """
    there: NDArray[np.bool_] = np.asarray(np.isfinite(points).all(axis=1))
    safe = np.where(there[:, None], points, np.asarray(before.roi.center))
    start = _in_thumbnail(safe, before.roi)
    end = _flow(before, now, start, _in_thumbnail(safe, now.roi))
    back = _flow(now, before, end, start)
    found: NDArray[np.bool_] = there & (np.linalg.norm(back - start, axis=1) <= _RETURN_PX)
    moved = crop_to_frame(end, now.roi, SIDE) - safe
    usual = np.median(moved[found], axis=0) if found.any() else np.zeros(2)
    return np.where(found[:, None], moved, usual).astype(np.float32), found


def _in_thumbnail(points: NDArray[np.floating], roi: Roi) -> NDArray[np.float32]:
    return frame_to_crop(points, roi, SIDE).astype(np.float32)


def _flow(
    source: Thumbnail, target: Thumbnail, points: NDArray[np.float32], guess: NDArray[np.float32]
) -> NDArray[np.float32]:
    moved, _, _ = cv2.calcOpticalFlowPyrLK(
        source.grey,
        target.grey,
        points[:, None],
        guess[:, None].copy(),
        winSize=_WINDOW,
        maxLevel=_LEVELS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )
    return np.asarray(moved, np.float32)[:, 0]
