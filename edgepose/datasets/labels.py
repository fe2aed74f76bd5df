"""Turning raw labels into trustworthy ones: scores into weights, two opinions into one."""

from __future__ import annotations

import numpy as np

from edgepose.datasets.records import Keypoints
from edgepose_runtime.poses.skeletons import Skeleton

LOWER_BODY = ("hip", "knee", "ankle")
UPPER_BODY = ("head", "face", "neck", "shoulder", "elbow", "wrist", "hip")
LOWER_BODY_SHARE = 0.25
LEAST_JOINTS = 4


def weights_from_scores(keypoints: Keypoints, low: float = 0.3, high: float = 0.6) -> Keypoints:
    """Turn a network's scores into training weights: 0 below `low`, 1 above `high`.

    Args:
        keypoints: (..., K, 3) x, y, score.
        low: a score in [0, 1].
        high: a larger one.

    Returns:
        A copy whose third column is a weight in [0, 1]; NaN coordinates get weight 0.
    """
    out = np.array(keypoints, np.float32)
    out[..., 2] = np.clip((out[..., 2] - low) / (high - low), 0, 1)
    return mask_missing(out)


def mask_missing(keypoints: Keypoints) -> Keypoints:
    """Give joints (..., K, 3) with anything NaN in them the coordinates and weight 0 (a copy)."""
    missing = ~np.isfinite(keypoints).all(-1)
    out = np.array(keypoints, np.float32)
    out[missing] = 0
    return out


def mask_outside(keypoints: Keypoints, width: int, height: int) -> Keypoints:
    """Give joints (..., K, 3) outside a picture of this size the weight 0 (a copy)."""
    x, y = keypoints[..., 0], keypoints[..., 1]
    out = np.array(keypoints, np.float32)
    out[(x < -0.5) | (y < -0.5) | (x > width - 0.5) | (y > height - 0.5), 2] = 0
    return out


def absent_keypoints(count: int) -> Keypoints:
    """Keypoints (count, 3) that are known to lie outside every crop: all maps are to be empty."""
    return np.tile(np.array([-1e4, -1e4, 1], np.float32), (count, 1))


def half_body(keypoints: Keypoints, skeleton: Skeleton, rng: np.random.Generator) -> Keypoints:
    """Return the keypoints (K, 3) of the upper or, less often, the lower body; others weigh 0.

    Where fewer than four joints of that half are known, none weighs anything.
    """
    lower = rng.random() < LOWER_BODY_SHARE
    chosen = [
        any(part in joint for part in (LOWER_BODY if lower else UPPER_BODY))
        for joint in skeleton.joints
    ]
    out = np.array(keypoints, np.float32)
    out[~np.array(chosen), 2] = 0
    if (out[:, 2] > 0).sum() < LEAST_JOINTS:
        out[:, 2] = 0
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
