"""Turning raw labels into trustworthy ones: scores into weights, two opinions into one."""

from __future__ import annotations

import numpy as np

from edgepose.datasets.records import Keypoints
from edgepose_runtime.poses.skeletons import Skeleton

LOWER_BODY = ("hip", "knee", "ankle")
UPPER_BODY = ("head", "face", "neck", "shoulder", "elbow", "wrist", "hip")
HEAD_AND_SHOULDERS = ("head", "face", "neck", "shoulder")
LOWER_BODY_SHARE = 0.25
HEAD_AND_SHOULDERS_SHARE = 0.25
LEAST_JOINTS = 4
#: From the body outwards: what lies beyond a joint that is out of sight is out of sight as well.
_OUTWARDS = (("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
#: Where joints are that are known to be absent: outside every crop, in either coordinate.
_FAR_AWAY = -1e4
#: Nearer to the picture's end than this share of its longer side, a doubtful joint may be beyond.
_RIM = 0.03


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
    return np.tile(np.array([_FAR_AWAY, _FAR_AWAY, 1], np.float32), (count, 1))


def mark_absent(keypoints: Keypoints, width: int, height: int, skeleton: Skeleton) -> Keypoints:
    """Let the maps of joints outside a picture be empty, as `absent_keypoints` are (a copy).

    A joint with a coordinate outside is absent whatever it weighs, as are joints of no weight that
    are further out on its limb. Doubtful ones at the rim get no weight: a network that labels what
    is cut off puts it there.

    Args:
        keypoints: (K, 3) x, y in pixels and a weight; unlabelled ones must lie inside.
        width: of the picture in pixels.
        height: of the picture in pixels.
        skeleton: names the joints.
    """
    out = np.array(keypoints, np.float32)
    places, rim = out[:, :2], _RIM * max(width, height)
    size = np.array([width, height])
    absent = np.asarray(((places < -0.5) | (places > size - 0.5)).any(axis=1))
    at_rim = ((places < rim) | (places > size - 1 - rim)).any(axis=1)
    out[at_rim & (out[:, 2] < 1), 2] = 0
    for inner, outer in _limb_joints(skeleton):
        absent[outer] |= absent[inner] and out[outer, 2] == 0
    out[absent] = absent_keypoints(int(absent.sum()))
    return out


def present(keypoints: Keypoints) -> Keypoints:
    """Give joints (..., K, 3) that are known to be absent the weight 0 (a copy)."""
    out = np.array(keypoints, np.float32)
    out[out[..., 0] <= _FAR_AWAY / 2, 2] = 0
    return out


def _limb_joints(skeleton: Skeleton) -> list[tuple[int, int]]:
    numbers = {joint: number for number, joint in enumerate(skeleton.joints)}
    return [
        (numbers[f"{side}_{inner}"], numbers[f"{side}_{outer}"])
        for inner, outer in _OUTWARDS
        for side in ("left", "right")
        if {f"{side}_{inner}", f"{side}_{outer}"} <= set(numbers)
    ]


def half_body(keypoints: Keypoints, skeleton: Skeleton, rng: np.random.Generator) -> Keypoints:
    """Return the keypoints (K, 3) of a part of the body; others weigh 0.

    The part is the body down to the waist, or less often head and shoulders or the lower body.
    Where fewer than four joints of it are known, or fewer than it has if it has fewer, none weighs
    anything.
    """
    drawn = rng.random()
    parts: tuple[str, ...]
    if drawn < LOWER_BODY_SHARE:
        parts = LOWER_BODY
    else:
        bust = drawn < LOWER_BODY_SHARE + HEAD_AND_SHOULDERS_SHARE
        parts = HEAD_AND_SHOULDERS if bust else UPPER_BODY
    chosen = np.array([any(part in joint for part in parts) for joint in skeleton.joints])
    out = np.array(keypoints, np.float32)
    out[~chosen, 2] = 0
    if (out[:, 2] > 0).sum() < min(LEAST_JOINTS, chosen.sum()):
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
