"""Poses in the joints of another skeleton, where what is missing is (0, 0, 0)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose.pose_files.table import PoseTable
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, Skeleton

#: The joints of OpenPose's BODY_25, in its order.
BODY25 = (
    *("nose", "neck", "right_shoulder", "right_elbow", "right_wrist", "left_shoulder"),
    *("left_elbow", "left_wrist", "pelvis", "right_hip", "right_knee", "right_ankle", "left_hip"),
    *("left_knee", "left_ankle", "right_eye", "left_eye", "right_ear", "left_ear", "left_big_toe"),
    *("left_small_toe", "left_heel", "right_big_toe", "right_small_toe", "right_heel"),
)
#: OpenPose learned these as the middle of two other joints.
_MIDDLES = {
    "neck": ("right_shoulder", "left_shoulder"),
    "pelvis": ("right_hip", "left_hip"),
}


def coco_keypoints(table: PoseTable) -> NDArray[np.float32]:
    """Return the poses as float32 (N, 17, 3) in COCO's order, missing joints as (0, 0, 0).

    The joints of the face come from a skeleton that has them; the head of ``penn13`` is none.
    """
    return zeroed(convert_keypoints(table.keypoints, table.skeleton, COCO17))


def body25_keypoints(table: PoseTable) -> NDArray[np.float32]:
    """Return the poses as float32 (N, 25, 3) in the order of BODY_25, missing joints as (0, 0, 0).

    Neck and pelvis are the middle of shoulders and hips, with the lower of both scores.
    """
    joints = [_body25_joint(table.keypoints, table.skeleton, name) for name in BODY25]
    return zeroed(np.stack(joints, axis=1))


def zeroed(keypoints: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return joints (..., 3) with (0, 0, 0) for those that are not finite or score 0."""
    there = np.isfinite(keypoints).all(axis=-1, keepdims=True) & (keypoints[..., 2:] > 0)
    return np.where(there, keypoints, 0).astype(np.float32)


def _body25_joint(
    keypoints: NDArray[np.float32], skeleton: Skeleton, name: str
) -> NDArray[np.float32]:
    if name in _MIDDLES:
        return _middle(*(keypoints[:, skeleton.index(joint)] for joint in _MIDDLES[name]))
    if name in skeleton.joints:
        return keypoints[:, skeleton.index(name)]
    return np.zeros_like(keypoints[:, 0])


def _middle(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    places = (first[:, :2] + second[:, :2]) / 2
    return np.column_stack([places, np.minimum(first[:, 2], second[:, 2])])
