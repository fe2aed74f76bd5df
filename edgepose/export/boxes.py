"""Tight boxes around joints."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose.results import TRUSTED_SCORE


def trusted_boxes(keypoints: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (N, 4) x, y, width, height of the joints (N, K, 3) that score 0.2 or more.

    In pixels whose centres are at integers; NaN for a pose without such a joint.
    """
    trusted = np.isfinite(keypoints).all(axis=-1) & (keypoints[..., 2] >= TRUSTED_SCORE)
    low = np.where(trusted[..., None], keypoints[..., :2], np.inf).min(axis=1).astype(float)
    high = np.where(trusted[..., None], keypoints[..., :2], -np.inf).max(axis=1).astype(float)
    boxes = np.concatenate([low, high - low], axis=1)
    boxes[~trusted.any(axis=1)] = np.nan
    return boxes
