"""The region of a frame that a caller says to look at."""

from __future__ import annotations

from collections.abc import Sequence

from edgepose_runtime.errors import RoiError
from edgepose_runtime.geometry.roi import Roi

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
