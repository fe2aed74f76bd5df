"""Turning raw labels into trustworthy ones: scores into weights, two opinions into one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.skeletons import Skeleton

Keypoints = NDArray[np.float32]


def weights_from_scores(keypoints: Keypoints, low: float = 0.3, high: float = 0.6) -> Keypoints:
    """Turn a network's scores into training weights: 0 below `low`, 1 above `high`.

    Args:
        keypoints: (..., K, 3) x, y, score.

    Returns:
        a copy whose third column is a weight in [0, 1]; NaN coordinates get weight 0.
    """
    out = np.array(keypoints, np.float32)
    out[..., 2] = np.clip((out[..., 2] - low) / (high - low), 0, 1)
    return mask_missing(out)


def mask_missing(keypoints: Keypoints) -> Keypoints:
    """Give joints with NaN coordinates the coordinates 0 and the weight 0 (a copy)."""
    missing = ~np.isfinite(keypoints[..., :2]).all(-1)
    out = np.array(keypoints, np.float32)
    out[missing] = 0
    return out


def mask_outside(keypoints: Keypoints, width: int, height: int) -> Keypoints:
    """Give joints outside a picture the weight 0 (a copy)."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    out = np.array(keypoints, np.float32)
    out[(x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5), 2] = 0
    return out


def body_size(keypoints: Keypoints) -> float:
    """The longer side of the extent of the weighted joints, in pixels; 0 with fewer than two."""
    known = keypoints[keypoints[:, 2] > 0, :2]
    return float(np.ptp(known, axis=0).max()) if len(known) > 1 else 0.0


def reconcile(
    human: Keypoints, teacher: Keypoints, skeleton: Skeleton, tolerance: float = 0.06
) -> Keypoints:
    """Merge a crowd-sourced annotation with a network's into one set of labels.

    Crowd workers swap left and right and misplace single joints; networks miss rare poses. Where
    the two agree their mean is better than either; where they do not, a confident network is
    believed at half weight and an unsure one leaves the joint unlabelled.

    Args:
        human: (K, 3) x, y, weight.
        teacher: (K, 3) x, y, weight.
        skeleton: names the left/right pairs.
        tolerance: the distance that counts as agreement, as a share of the body's size.

    Returns:
        float32 (K, 3) x, y, weight.
    """
    limit = tolerance * max(body_size(human), 1.0)
    human = _unswapped(human, teacher, skeleton, limit)
    distance = np.linalg.norm(human[:, :2] - teacher[:, :2], axis=1)
    seen_by_both = (human[:, 2] > 0) & (teacher[:, 2] > 0)
    agree = seen_by_both & (distance <= limit)
    out = np.array(human, np.float32)
    out[agree, :2] = (human[agree, :2] + teacher[agree, :2]) / 2
    out[agree, 2] = 1.0
    differ = seen_by_both & ~agree
    sure = differ & (teacher[:, 2] >= 1.0)
    out[sure, :2], out[sure, 2] = teacher[sure, :2], 0.5
    out[differ & ~sure, 2] = 0.0
    out[(human[:, 2] > 0) & (teacher[:, 2] == 0), 2] *= 0.5
    return out


def _unswapped(human: Keypoints, teacher: Keypoints, skeleton: Skeleton, limit: float) -> Keypoints:
    """Exchange left and right where that brings clearly more joints into agreement."""
    swapped = human[list(skeleton.flip_order)]

    def agreeing(candidate: Keypoints) -> int:
        both = (candidate[:, 2] > 0) & (teacher[:, 2] > 0)
        return int((np.linalg.norm(candidate[:, :2] - teacher[:, :2], axis=1)[both] <= limit).sum())

    return swapped if agreeing(swapped) > agreeing(human) + 2 else human
