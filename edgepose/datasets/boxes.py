"""Where the person is: the annotated box, or else the one around the joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.roi import JOINT_BOX_MARGIN, Roi

FloatArray = NDArray[np.floating]


def joints_box(keypoints: FloatArray) -> Roi | None:
    """Return the extent of the known joints, enlarged: they lie inside the body.

    Args:
        keypoints: (K, 3) x, y in pixels and a weight or score, 0 for joints not to be counted.

    Returns:
        The box, or None where fewer than two joints are known.
    """
    known = keypoints[keypoints[:, 2] > 0, :2]
    return Roi.from_points(known).enlarged(JOINT_BOX_MARGIN) if len(known) > 1 else None


def corners_box(corners: FloatArray | None) -> Roi | None:
    """Return the box of corners (4,) x1, y1, x2, y2 in pixels; None for none, NaN or no area."""
    if corners is None or not np.isfinite(corners).all() or not (corners[2:] > corners[:2]).all():
        return None
    return Roi.from_points(corners.reshape(2, 2))
