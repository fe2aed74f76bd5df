"""Skeletons: which joints a pose has, in which order, and how one skeleton becomes another.

Right and left are the person's own. Joints that mean the same have the same name everywhere, which
is what :func:`convert_keypoints` goes by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Skeleton:
    """The joints of a pose.

    Attributes:
        name: what users type, such as ``"penn13"``.
        joints: names of the K joints in array order.
        flip_pairs: pairs of joint indices that change places in a mirrored image.
        limbs: pairs of joint indices to join by a line when a pose is drawn.
    """

    name: str
    joints: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...]
    limbs: tuple[tuple[int, int], ...]

    @property
    def num_joints(self) -> int:
        """K, the number of joints."""
        return len(self.joints)

    @property
    def flip_order(self) -> tuple[int, ...]:
        """Permutation for mirrored images: the mirror's joint k was joint ``flip_order[k]``."""
        order = list(range(self.num_joints))
        for first, second in self.flip_pairs:
            order[first], order[second] = second, first
        return tuple(order)

    def index(self, joint: str) -> int:
        """Return the position of a joint.

        Raises:
            ConfigError: the skeleton has no joint of that name.
        """
        if joint not in self.joints:
            raise ConfigError(
                f"The skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}."
            )
        return self.joints.index(joint)


def _both(joint: str) -> str:
    return f"right_{joint} left_{joint}"


def _skeleton(name: str, joints: str, trunk: str) -> Skeleton:
    """Build a skeleton from its joints in order and the lines (``a-b``) above the arms and legs."""
    names = tuple(joints.split())
    position = {joint: index for index, joint in enumerate(names)}
    sides = [
        (index, position["left_" + joint.removeprefix("right_")])
        for index, joint in enumerate(names)
        if joint.startswith("right_")
    ]
    limbs = [line.split("-") for line in f"{trunk} {_ARMS_AND_LEGS}".split()]
    return Skeleton(
        name,
        names,
        flip_pairs=tuple(sorted((min(pair), max(pair)) for pair in sides)),
        limbs=tuple((position[a], position[b]) for a, b in limbs),
    )


_ARMS_AND_LEGS = " ".join(
    f"{side}_shoulder-{side}_elbow {side}_elbow-{side}_wrist {side}_hip-{side}_knee "
    f"{side}_knee-{side}_ankle"
    for side in ("right", "left")
)
_TORSO = (
    "right_shoulder-left_shoulder right_hip-left_hip right_shoulder-right_hip "
    "left_shoulder-left_hip"
)
_COCO_JOINTS = (
    "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow "
    "right_elbow left_wrist right_wrist left_hip right_hip left_knee right_knee left_ankle "
    "right_ankle"
)
_COCO_FACE = "nose-left_eye nose-right_eye left_eye-left_ear right_eye-right_ear"

#: Penn Action.
PENN13 = _skeleton(
    "penn13",
    f"head {_both('shoulder')} {_both('elbow')} {_both('wrist')} {_both('hip')} {_both('knee')} "
    f"{_both('ankle')}",
    f"head-right_shoulder head-left_shoulder {_TORSO}",
)

#: JHMDB and sub-JHMDB.
JHMDB15 = _skeleton(
    "jhmdb15",
    f"neck belly face {_both('shoulder')} {_both('hip')} {_both('elbow')} {_both('knee')} "
    f"{_both('wrist')} {_both('ankle')}",
    "face-neck neck-belly neck-right_shoulder neck-left_shoulder belly-right_hip belly-left_hip",
)

#: MPII Human Pose.
MPII16 = _skeleton(
    "mpii16",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle pelvis thorax upper_neck "
    "head_top right_wrist right_elbow right_shoulder left_shoulder left_elbow left_wrist",
    "head_top-upper_neck upper_neck-thorax thorax-right_shoulder thorax-left_shoulder "
    "thorax-pelvis pelvis-right_hip pelvis-left_hip",
)

#: COCO.
COCO17 = _skeleton("coco17", _COCO_JOINTS, f"{_COCO_FACE} {_TORSO}")

#: Leeds Sports Pose and its extended set.
LSP14 = _skeleton(
    "lsp14",
    "right_ankle right_knee right_hip left_hip left_knee left_ankle right_wrist right_elbow "
    "right_shoulder left_shoulder left_elbow left_wrist neck head_top",
    "head_top-neck neck-right_shoulder neck-left_shoulder right_hip-left_hip "
    "right_shoulder-right_hip left_shoulder-left_hip",
)

#: Halpe with body and feet; its "head" is the top of the head, its "hip" the middle of the pelvis.
HALPE26 = _skeleton(
    "halpe26",
    f"{_COCO_JOINTS} head_top neck pelvis left_big_toe right_big_toe left_small_toe "
    "right_small_toe left_heel right_heel",
    f"{_COCO_FACE} head_top-neck neck-right_shoulder neck-left_shoulder neck-pelvis "
    "pelvis-right_hip pelvis-left_hip left_ankle-left_heel right_ankle-right_heel "
    "left_ankle-left_big_toe right_ankle-right_big_toe left_ankle-left_small_toe "
    "right_ankle-right_small_toe",
)

_SKELETONS = {
    skeleton.name: skeleton for skeleton in (PENN13, JHMDB15, MPII16, COCO17, LSP14, HALPE26)
}


def get_skeleton(name: str) -> Skeleton:
    """Return a skeleton by name: penn13, jhmdb15, mpii16, coco17, lsp14 or halpe26.

    Raises:
        ConfigError: no skeleton has that name.
    """
    try:
        return _SKELETONS[name]
    except KeyError:
        known = ", ".join(_SKELETONS)
        raise ConfigError(f"There is no skeleton {name!r}; edgepose has {known}.") from None


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
