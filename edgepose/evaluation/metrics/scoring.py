"""What one clip's predictions are worth, and what all clips together are."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import box_corners, person_boxes
from edgepose.evaluation.metrics.lag import LagErrors, lag_errors
from edgepose.evaluation.metrics.pck import (
    PckCounts,
    PckSummary,
    body_lengths,
    jitter_terms,
    pck_counts,
    torso_lengths,
)
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import PENN13, Skeleton

FloatArray = NDArray[np.floating]

LEAST_SHARE_FOLLOWED = 0.5


class Measure(NamedTuple):
    """A reference length and the share of it within which a joint is a hit."""

    reference: Literal["body", "torso"]
    alpha: float

    @property
    def label(self) -> str:
        """As printed: ``PCK-torso@0.2``."""
        return f"PCK-{self.reference}@{self.alpha:g}"


@dataclass(frozen=True)
class ClipScore:
    """One clip against its annotation.

    Attributes:
        name: the clip.
        film: what it was cut from.
        frames: how many frames have an annotation.
        without_pose: how many of them have no predicted joint at all.
        followed: how many of them have a pose whose middle lies in the annotated box.
        pck: hits and scored joints of each measure.
        jitter: terms of the second-difference error, in torsos.
        lag: errors against the annotation before and after, where joints are fast.
    """

    name: str
    film: str
    frames: int
    without_pose: int
    followed: int
    pck: dict[Measure, PckCounts]
    jitter: FloatArray
    lag: LagErrors

    @property
    def lost(self) -> bool:
        """Whether the person was not followed in most of the frames."""
        return self.followed < LEAST_SHARE_FOLLOWED * self.frames


@dataclass(frozen=True)
class Score:
    """All clips together, over the joints of ``skeleton``."""

    skeleton: Skeleton
    clips: tuple[ClipScore, ...]

    @property
    def frames(self) -> int:
        """Annotated frames."""
        return sum(clip.frames for clip in self.clips)

    @property
    def without_pose(self) -> int:
        """Annotated frames with no predicted joint; each counts as a miss of all its joints."""
        return sum(clip.without_pose for clip in self.clips)

    @property
    def lost_clips(self) -> list[str]:
        """Names of the clips in which the person was not followed in most of the frames."""
        return [clip.name for clip in self.clips if clip.lost]

    @property
    def jitter(self) -> float:
        """Mean second-difference error in percent of the torso; NaN if no joint has any."""
        terms = np.concatenate([clip.jitter for clip in self.clips])
        return 100 * float(terms.mean()) if terms.size else float("nan")

    @property
    def lag_frames(self) -> float:
        """How many frames fast joints come late; NaN if none is fast."""
        first, *others = (clip.lag for clip in self.clips)
        return sum(others, start=first).frames

    @property
    def measures(self) -> list[Measure]:
        """What was measured."""
        return list(self.clips[0].pck)

    def pck(self, measure: Measure) -> PckSummary:
        """Percentages of one measure, pooled over all frames of all clips."""
        first, *others = (clip.pck[measure] for clip in self.clips)
        return sum(others, start=first).summary(self.skeleton)


def scoring_skeleton(predicted: Skeleton, annotated: Skeleton) -> Skeleton:
    """The skeleton over which a prediction is scored: the annotation's own, or what both share.

    Joints that one side lacks (JHMDB's neck and belly, say) are left out on both.
    """
    return annotated if predicted.name == annotated.name else PENN13


def score_clip(
    predicted: FloatArray, skeleton: Skeleton, clip: Clip, measures: Iterable[Measure]
) -> ClipScore:
    """Score one clip.

    Args:
        predicted: (T, K, 3): x, y in pixels of the frame, score; NaN for joints not found.
        skeleton: the skeleton of ``predicted``.
        clip: the clip, with T frames.
        measures: what to measure.
    """
    common = scoring_skeleton(skeleton, clip.skeleton)
    poses = convert_keypoints(predicted, skeleton, common)
    truth = convert_keypoints(clip.keypoints, clip.skeleton, common)
    valid = truth[..., 2] > 0
    corners = box_corners(person_boxes(clip))
    lengths = {"body": body_lengths(corners), "torso": torso_lengths(truth, poses, common)}
    annotated = valid.any(axis=1)
    found = np.isfinite(poses[..., :2].sum(axis=-1)).any(axis=1)
    return ClipScore(
        name=clip.name,
        film=clip.film,
        frames=int(annotated.sum()),
        without_pose=int((annotated & ~found).sum()),
        followed=int((annotated & found & _middle_inside(poses, corners)).sum()),
        pck={
            measure: pck_counts(poses, truth, valid, lengths[measure.reference], measure.alpha)
            for measure in measures
        },
        jitter=jitter_terms(poses, truth, valid, lengths["torso"]),
        lag=lag_errors(poses, truth, valid, lengths["torso"], clip.fps),
    )


def measures_for(alphas: Sequence[float]) -> list[Measure]:
    """Both reference lengths at every alpha, torso first.

    Raises:
        ConfigError: an alpha is not a finite number above 0.
    """
    for alpha in alphas:
        if not 0 < alpha < math.inf:
            raise ConfigError(f"An alpha of PCK must be a finite number above 0; got {alpha}.")
    return [
        *(Measure("torso", alpha) for alpha in alphas),
        *(Measure("body", alpha) for alpha in alphas),
    ]


def _middle_inside(poses: FloatArray, corners: FloatArray) -> NDArray[np.bool_]:
    """Whether the mean of each frame's joints lies in its box, (T,)."""
    points = np.ma.masked_invalid(poses[..., :2])
    middle = points.mean(axis=1).filled(np.nan)
    return np.asarray(((middle >= corners[:, :2]) & (middle <= corners[:, 2:])).all(axis=1))
