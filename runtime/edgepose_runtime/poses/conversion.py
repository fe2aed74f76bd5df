"""How poses of one skeleton become poses of another: by the names of joints, and by rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import Skeleton

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class _Rule:
    """A joint as a weighted mean of others.

    Attributes:
        parts: (weight in x, weight in y) of each joint that it is made of.
        partial: the mean of whichever parts there are, instead of nothing if one is missing.
    """

    parts: Mapping[str, tuple[float, float]]
    partial: bool = False

    def fits(self, source: Skeleton) -> bool:
        found = [joint in source.joints for joint in self.parts]
        return any(found) if self.partial else all(found)


def _mean(*joints: str, partial: bool = False) -> _Rule:
    return _Rule({joint: (1 / len(joints), 1 / len(joints)) for joint in joints}, partial)


_HEAD_RULES = (
    _mean("upper_neck", "head_top"),
    # Halpe's neck is the base of the neck: against JHMDB's annotation the point midway to the head
    # top lies 0.07 torso lengths too low, that of nose and ears half as much.
    _mean("nose", "left_ear", "right_ear", partial=True),
    _mean("neck", "head_top"),
)
# x is the mean of the four joints; y lies 0.65 of the way down from shoulders to hips.
_BELLY = _Rule(
    {
        "right_shoulder": (0.25, 0.175),
        "left_shoulder": (0.25, 0.175),
        "right_hip": (0.25, 0.325),
        "left_hip": (0.25, 0.325),
    }
)
_RULES: Mapping[str, tuple[_Rule, ...]] = {
    "head": (_mean("face"), *_HEAD_RULES),
    "face": (_mean("head"), *_HEAD_RULES),
    "neck": (_mean("upper_neck"),),
    "upper_neck": (_mean("neck"),),
    "pelvis": (_mean("right_hip", "left_hip"),),
    "belly": (_BELLY,),
}


def convert_keypoints(keypoints: FloatArray, source: Skeleton, target: Skeleton) -> FloatArray:
    """Express poses of one skeleton in another.

    Joints go by name. What has no namesake is made from others: head and face from each other, or
    midway between upper neck and head top (MPII), or the mean of those of nose and ears that there
    are (COCO, Halpe), or midway between neck and head top (LSP); neck and MPII's upper neck are
    the same; the pelvis is midway between the hips; the belly lies 0.65 of the way down
    from the shoulders to the hips. A joint made from several has the lowest of their scores.

    Example:
        >>> penn, coco = edgepose.get_skeleton("penn13"), edgepose.get_skeleton("coco17")
        >>> convert_keypoints(result.keypoints, penn, coco).shape
        (17, 3)

    Args:
        keypoints: (..., K, 2) x, y or (..., K, 3) x, y, score, in any unit. NaN marks a missing
            joint.
        source: the skeleton of ``keypoints``.
        target: the skeleton to return.

    Returns:
        A new floating array (..., target.num_joints, 2 or 3). What cannot be told is NaN, score 0.

    Raises:
        ConfigError: the shape does not fit the source skeleton.
    """
    poses = np.asarray(keypoints)
    if poses.ndim < 2 or poses.shape[-2] != source.num_joints or poses.shape[-1] not in (2, 3):
        raise ConfigError(
            f"Keypoints of {source.name} must have shape (..., {source.num_joints}, 2 or 3); "
            f"got {poses.shape}."
        )
    poses = poses.astype(np.promote_types(poses.dtype, np.float32), copy=False)
    converted = np.stack([_joint(poses, source, joint) for joint in target.joints], axis=-2)
    missing = np.isnan(converted[..., :2]).any(axis=-1, keepdims=True)
    converted[..., 2:] = np.where(missing, 0, converted[..., 2:])
    return converted


def _joint(poses: FloatArray, source: Skeleton, joint: str) -> FloatArray:
    """Return one joint (..., C) of every pose, by name or by the first rule that fits."""
    if joint in source.joints:
        return poses[..., source.index(joint), :]
    for rule in _RULES.get(joint, ()):
        if rule.fits(source):
            return _combine(poses, source, rule)
    return np.full_like(poses[..., 0, :], np.nan)


def _combine(poses: FloatArray, source: Skeleton, rule: _Rule) -> FloatArray:
    """Return the weighted mean (..., C) of a rule's parts, with the lowest of their scores."""
    joints = [joint for joint in rule.parts if joint in source.joints]
    parts = poses[..., [source.index(joint) for joint in joints], :]
    weights = np.array([rule.parts[joint] for joint in joints], dtype=poses.dtype)
    weights = np.broadcast_to(weights, (*parts.shape[:-1], 2))
    if rule.partial:
        fine = np.isfinite(parts) & ((parts > 0) | (np.arange(parts.shape[-1]) < 2))
        present = np.all(fine, axis=-1, keepdims=True)
        weights = np.where(present, weights, 0)
        parts = np.where(present, parts, [0, 0, np.inf][: parts.shape[-1]])
    with np.errstate(invalid="ignore"):
        xy = (parts[..., :2] * weights).sum(axis=-2) / weights.sum(axis=-2)
    return np.concatenate([xy, parts[..., 2:].min(axis=-2)], axis=-1).astype(poses.dtype)
