"""Regions of a frame and the mapping between frame, crop and heat-map coordinates.

Coordinates are (x, y) in pixels with pixel *centres* at integers, so the first pixel of a frame
covers -0.5 to 0.5. A region is given by the first pixel it covers and its extent: it spans
``x - 0.5`` to ``x + width - 0.5``. A whole frame is ``Roi(0, 0, frame_width, frame_height)``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.errors import RoiError

FloatArray = NDArray[np.floating[Any]]

#: How much a box around joints is enlarged on every side, in parts of its longer side: joints lie
#: inside the body, and the box should hold the skull, the hands and the feet as well.
JOINT_BOX_MARGIN = 0.1

#: Side of a person's square crop, in parts of the longer side of the person's box
#: (the "person" convention of SimpleBaselines and HRNet).
PERSON_CROP_FACTOR = 1.25


@dataclass(frozen=True, slots=True)
class Roi:
    """An axis-parallel region of a frame, in float pixels; it may reach outside the frame.

    Iterating gives ``x, y, width, height``.
    """

    x: float
    y: float
    width: float
    height: float

    @classmethod
    def around(cls, center: tuple[float, float], width: float, height: float | None = None) -> Roi:
        """Return the region of this extent (a square without ``height``) around a point."""
        height = width if height is None else height
        return cls(center[0] + 0.5 - width / 2, center[1] + 0.5 - height / 2, width, height)

    @classmethod
    def from_points(cls, points: ArrayLike) -> Roi:
        """Return the tight region from the outermost of the points (..., 2) to each other.

        Points with NaN are left out. One point gives a region without area.

        Raises:
            RoiError: no point is finite.
        """
        flat = np.asarray(points, dtype=np.float64).reshape(-1, 2)
        flat = flat[np.isfinite(flat).all(axis=1)]
        if not len(flat):
            raise RoiError("A region was asked for around points none of which is finite.")
        low, high = flat.min(axis=0), flat.max(axis=0)
        width, height = (high - low).tolist()
        return cls(float(low[0]) + 0.5, float(low[1]) + 0.5, width, height)

    @property
    def center(self) -> tuple[float, float]:
        """The middle of the region as (x, y), in pixels with centres at integers."""
        return self.x - 0.5 + self.width / 2, self.y - 0.5 + self.height / 2

    def as_tuple(self) -> tuple[float, float, float, float]:
        """Return ``(x, y, width, height)``."""
        return self.x, self.y, self.width, self.height

    def __iter__(self) -> Iterator[float]:
        return iter(self.as_tuple())

    def contains(self, point: Sequence[float]) -> bool:
        """Return whether a point (x, y) lies in the region or on its edge."""
        x, y = point[0] - self.x + 0.5, point[1] - self.y + 0.5
        return bool(0 <= x <= self.width and 0 <= y <= self.height)

    def enlarged(self, margin: float) -> Roi:
        """Return the region grown on every side by ``margin`` times its longer side."""
        growth = 2 * margin * max(self.width, self.height)
        return Roi.around(self.center, self.width + growth, self.height + growth)

    def squared(self, factor: float = PERSON_CROP_FACTOR) -> Roi:
        """Return the square with the same centre and side ``factor * max(width, height)``."""
        return Roi.around(self.center, factor * max(self.width, self.height))

    def validated(self, frame_width: int, frame_height: int) -> Roi:
        """Return the region itself if a frame of this size can be cropped with it.

        Raises:
            RoiError: a number is not finite, the region has no area, or no pixel of the frame
                lies in it.
        """
        given = f"The roi (x, y, width, height) = {self.as_tuple()}"
        if not all(math.isfinite(value) for value in self):
            raise RoiError(f"{given} is not finite; give four finite numbers in pixels.")
        if self.width <= 0 or self.height <= 0:
            raise RoiError(f"{given} has no area; width and height must be above 0 pixels.")
        if not (-self.width < self.x < frame_width and -self.height < self.y < frame_height):
            raise RoiError(
                f"{given} lies outside the frame of {frame_width}x{frame_height} pixels; "
                "give a region that overlaps the frame."
            )
        return self


def joints_roi(
    points: ArrayLike,
    frame_size: tuple[int, int],
    margin: float = JOINT_BOX_MARGIN,
    factor: float = PERSON_CROP_FACTOR,
) -> Roi | None:
    """Return the square region in which a network sees the person with these joints.

    The one rule for annotated and for estimated joints: the extent of the joints inside the frame,
    enlarged by ``margin`` of its longer side on every side, then squared by ``factor``.

    Args:
        points: (K, 2) joints in frame pixels; NaN for a joint that is missing.
        frame_size: (width, height) of the frame in pixels.
        margin: see :data:`JOINT_BOX_MARGIN`.
        factor: see :data:`PERSON_CROP_FACTOR`.

    Returns:
        The region, or ``None`` where fewer than two distinct joints are inside the frame.
    """
    joints = np.asarray(points, dtype=np.float64)
    inside = ((joints >= -0.5) & (joints <= np.subtract(frame_size, 0.5))).all(axis=-1)
    if not inside.any():
        return None
    return box_roi(Roi.from_points(joints[inside]), margin, factor)


def box_roi(
    box: Roi, margin: float = JOINT_BOX_MARGIN, factor: float = PERSON_CROP_FACTOR
) -> Roi | None:
    """Return the square region for a tight box around joints, as :func:`joints_roi` has it.

    ``None`` for a box without any extent.
    """
    return box.enlarged(margin).squared(factor) if max(box.width, box.height) > 0 else None


def roi_transform(roi: Roi, size: int) -> NDArray[np.float64]:
    """Return the (2, 3) affine matrix from frame pixels to pixels of a ``size`` x ``size`` crop."""
    scale_x, scale_y = size / roi.width, size / roi.height
    return np.array(
        [
            [scale_x, 0.0, (0.5 - roi.x) * scale_x - 0.5],
            [0.0, scale_y, (0.5 - roi.y) * scale_y - 0.5],
        ]
    )


def crop_to_frame(points: ArrayLike, roi: Roi, size: int) -> FloatArray:
    """Map points (..., 2) from the pixels of a ``size`` x ``size`` crop to frame pixels.

    Crop pixel u lies at ``x = roi.x - 0.5 + (u + 0.5) * roi.width / size`` of the frame.
    Computed in double precision, returned as the points' own floating type; NaN stays NaN.
    """
    crop = _floating(points)
    scale = np.array([roi.width, roi.height]) / size
    frame = (crop + 0.5) * scale + (np.array([roi.x, roi.y]) - 0.5)
    return frame.astype(crop.dtype, copy=False)


def frame_to_crop(points: ArrayLike, roi: Roi, size: int) -> FloatArray:
    """Map points (..., 2) from frame to crop pixels: the inverse of :func:`crop_to_frame`."""
    frame = _floating(points)
    scale = size / np.array([roi.width, roi.height])
    crop = (frame - (np.array([roi.x, roi.y]) - 0.5)) * scale - 0.5
    return crop.astype(frame.dtype, copy=False)


def _floating(points: ArrayLike) -> FloatArray:
    array = np.asarray(points)
    return array.astype(np.promote_types(array.dtype, np.float32), copy=False)


#: What callers give as a region: one, or (x, y, width, height).
RoiLike = Roi | Sequence[float]


def fixed_roi(roi: RoiLike, frame_size: tuple[int, int]) -> Roi:
    """Return the square around a roi's centre that encloses it.

    Args:
        roi: a region, or (x, y, width, height).
        frame_size: (width, height) of the frame.

    Raises:
        RoiError: it is not four finite numbers, has no area, or misses the frame.
    """
    try:
        x, y, width, height = (float(value) for value in roi)
    except (TypeError, ValueError, OverflowError):
        raise RoiError(
            f"A roi must be four numbers (x, y, width, height) in pixels, got {roi!r}."
        ) from None
    return Roi(x, y, width, height).validated(*frame_size).squared(factor=1.0)
