"""Percentage of correct keypoints (PCK) and jitter, by the rules of the published comparisons.

A joint is a hit if its error is at most ``alpha`` times a reference length of the same frame:
the longer side of the person's box (*body*) or the distance between the left shoulder and the
right hip (*torso*). Counts are pooled over all frames of all clips, never averaged by clip.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.poses.skeletons import Skeleton

FloatArray = NDArray[np.floating]
IntArray = NDArray[np.int64]

LEAST_TORSO_PX = 1.0
"""Shorter annotated torsos are replaced by the predicted one, as the public protocol does."""

COLUMNS = {
    "Head": ("head", "face"),
    "Sho": ("right_shoulder", "left_shoulder"),
    "Elb": ("right_elbow", "left_elbow"),
    "Wri": ("right_wrist", "left_wrist"),
    "Hip": ("right_hip", "left_hip"),
    "Knee": ("right_knee", "left_knee"),
    "Ank": ("right_ankle", "left_ankle"),
}
"""The columns of the papers' tables, and the joints that each one averages."""

LIMB_JOINTS = tuple(name for column in list(COLUMNS)[1:] for name in COLUMNS[column])


@dataclass(frozen=True)
class PckSummary:
    """PCK in percent; NaN where nothing was scored.

    The papers print different means under one name, so all of them are given.

    Attributes:
        micro: hits over scored joints, all joints pooled.
        mean7: mean of the seven columns.
        mean_joints: mean over all joints of the skeleton.
        limbs12: hits over scored joints, the twelve shoulders to ankles pooled.
        columns: Head, Sho, Elb, Wri, Hip, Knee, Ank; each the mean of its joints.
        joints: each joint by name.
        scored: how many joints were scored.
    """

    micro: float
    mean7: float
    mean_joints: float
    limbs12: float
    columns: dict[str, float]
    joints: dict[str, float]
    scored: int


@dataclass(frozen=True)
class PckCounts:
    """Hits and scored joints, each int64 (K,); counts of several clips are added with ``+``."""

    hits: IntArray
    scored: IntArray

    def __add__(self, other: PckCounts) -> PckCounts:
        return PckCounts(self.hits + other.hits, self.scored + other.scored)

    def summary(self, skeleton: Skeleton) -> PckSummary:
        """Turn counts over the joints of ``skeleton`` into percentages."""
        joints = dict(zip(skeleton.joints, _percent(self.hits, self.scored), strict=True))
        columns = _columns(joints)
        limbs = [skeleton.index(name) for name in LIMB_JOINTS]
        return PckSummary(
            micro=float(_percent(self.hits.sum(), self.scored.sum())),
            mean7=_mean(list(columns.values())),
            mean_joints=_mean(list(joints.values())),
            limbs12=float(_percent(self.hits[limbs].sum(), self.scored[limbs].sum())),
            columns=columns,
            joints=joints,
            scored=int(self.scored.sum()),
        )


def average(splits: Sequence[PckSummary]) -> PckSummary:
    """Mean of several splits: joint by joint, from which columns and the means of joints follow.

    Args:
        splits: at least one, all over the same joints.
    """
    joints = {name: _mean([split.joints[name] for split in splits]) for name in splits[0].joints}
    columns = _columns(joints)
    return PckSummary(
        micro=_mean([split.micro for split in splits]),
        mean7=_mean(list(columns.values())),
        mean_joints=_mean(list(joints.values())),
        limbs12=_mean([split.limbs12 for split in splits]),
        columns=columns,
        joints=joints,
        scored=sum(split.scored for split in splits),
    )


def pck_counts(
    predicted: FloatArray,
    truth: FloatArray,
    valid: NDArray[np.bool_],
    lengths: FloatArray,
    alpha: float,
) -> PckCounts:
    """Count joints within ``alpha`` times the reference length; exactly at it is a hit.

    Args:
        predicted: (T, K, 2 or more), x and y in pixels; NaN is a joint not found, hence a miss.
        truth: (T, K, 2 or more), x and y in pixels.
        valid: (T, K), which joints are scored.
        lengths: (T,), reference length of each frame in pixels.
        alpha: tolerance as a share of the reference length.
    """
    errors = np.linalg.norm(predicted[..., :2] - truth[..., :2], axis=-1)
    hits = (errors <= alpha * lengths[:, None]) & valid
    return PckCounts(hits.sum(axis=0), valid.sum(axis=0))


def body_lengths(boxes: FloatArray) -> FloatArray:
    """Longer side of each box. ``boxes``: (T, 4) as x1, y1, x2, y2; returns (T,) pixels."""
    return np.asarray((boxes[:, 2:] - boxes[:, :2]).max(axis=1))


def torso_lengths(truth: FloatArray, predicted: FloatArray, skeleton: Skeleton) -> FloatArray:
    """Distance from the left shoulder to the right hip in each frame, (T,) pixels.

    Where the annotated one is shorter than ``LEAST_TORSO_PX`` the predicted one counts.
    """
    annotated = _torso(truth, skeleton)
    return np.where(annotated < LEAST_TORSO_PX, _torso(predicted, skeleton), annotated)


def jitter_terms(
    predicted: FloatArray, truth: FloatArray, valid: NDArray[np.bool_], lengths: FloatArray
) -> FloatArray:
    """Errors of the second difference over time, in units of ``lengths``, flat.

    A joint counts at frame t if it is valid and predicted at t - 1, t and t + 1. A constant offset
    costs nothing: this measures shaking, not accuracy. Arguments as for :func:`pck_counts`.
    """
    shaking = np.diff(predicted[..., :2] - truth[..., :2], n=2, axis=0)
    terms = np.linalg.norm(shaking, axis=-1) / lengths[1:-1, None]
    complete = valid[2:] & valid[1:-1] & valid[:-2] & np.isfinite(terms)
    return np.asarray(terms[complete])


def _torso(keypoints: FloatArray, skeleton: Skeleton) -> FloatArray:
    shoulder, hip = skeleton.index("left_shoulder"), skeleton.index("right_hip")
    return np.asarray(np.linalg.norm(keypoints[:, shoulder, :2] - keypoints[:, hip, :2], axis=-1))


def _columns(joints: Mapping[str, float]) -> dict[str, float]:
    return {
        column: _mean([joints[name] for name in names if name in joints])
        for column, names in COLUMNS.items()
    }


def _percent(hits: IntArray, scored: IntArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        return 100.0 * np.asarray(hits, np.float64) / scored


def _mean(values: list[float]) -> float:
    """Mean of the values that are there; NaN if there are none."""
    there = np.asarray(values)[np.isfinite(values)]
    return float(there.mean()) if there.size else float("nan")
