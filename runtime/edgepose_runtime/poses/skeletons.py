"""Skeletons: which joints a pose has, and in which order.

Right and left are the person's own. Joints that mean the same have the same name everywhere, which
is what :func:`~edgepose_runtime.poses.conversion.convert_keypoints` goes by.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgepose_runtime.errors import ConfigError


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

#: All of them, by name.
SKELETONS = {
    skeleton.name: skeleton for skeleton in (PENN13, JHMDB15, MPII16, COCO17, LSP14, HALPE26)
}


def get_skeleton(name: str) -> Skeleton:
    """Return a skeleton by name: penn13, jhmdb15, mpii16, coco17, lsp14 or halpe26.

    Example:
        >>> get_skeleton("penn13").joints[:3]
        ('head', 'right_shoulder', 'left_shoulder')

    Raises:
        ConfigError: no skeleton has that name.
    """
    try:
        return SKELETONS[name]
    except (KeyError, TypeError):  # the latter of what cannot be a key
        known = ", ".join(SKELETONS)
        raise ConfigError(f"There is no skeleton {name!r}; edgepose has {known}.") from None
