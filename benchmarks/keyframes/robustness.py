"""Table 5: key frames of a file where a part of the frames is degraded, with intervals."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.keyframes.poses import CLEAN, PERTURBATIONS, Floats
from benchmarks.keyframes.selection import CHANGE_SELECTOR, Poses, SelectionScorer, scaled
from benchmarks.keyframes.table import resampled
from edgepose.evaluation.metrics.pck import PckCounts

#: Key frames per 40 frames where some of them are degraded, and the parts that are.
ROBUST_COUNT, DEGRADED = 16, (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6)


def robustness_table(scorer: SelectionScorer) -> dict[str, dict[str, Any]]:
    """Return the PCK of every frame and of key frames over the part of degraded frames.

    Returns:
        For each kind of perturbation both, the difference of key frames to every frame, and its
        intervals (bootstrap over films).
    """
    return {kind: _of_kind(scorer, kind) for kind in PERTURBATIONS}


def _of_kind(scorer: SelectionScorer, kind: str) -> dict[str, Any]:
    degraded = [_degraded(scorer, kind, part) for part in DEGRADED]
    every = resampled(scorer, [_counts(scorer, poses) for poses, _ in degraded])
    keys = resampled(scorer, [_counts(scorer, _by_keys(scorer, *each)) for each in degraded])
    difference = keys - every
    return {
        "frame-wise": every.values.tolist(),
        f"{ROBUST_COUNT} key frames of 40": keys.values.tolist(),
        "difference": difference.values.tolist(),
        "interval": difference.intervals(),
    }


def _counts(scorer: SelectionScorer, poses: Poses) -> list[PckCounts]:
    return [scorer.counts(index, each) for index, each in enumerate(poses)]


def _degraded(scorer: SelectionScorer, kind: str, part: float) -> tuple[list[Floats], list[Floats]]:
    """Return poses and thumbnails of all clips with a part of the frames degraded."""
    poses, small = [], []
    random = np.random.default_rng(1)
    for clip in scorer.clips:
        bad = _chosen(random, len(clip.clip), part)
        poses.append(np.where(bad[:, None, None], clip.poses[kind], clip.poses[CLEAN]))
        small.append(np.where(bad[:, None], clip.thumbnails[kind], clip.thumbnails[CLEAN]))
    return poses, small


def _by_keys(scorer: SelectionScorer, poses: list[Floats], small: list[Floats]) -> list[Floats]:
    return [
        scorer.path(each, CHANGE_SELECTOR(looks, scaled(ROBUST_COUNT, len(each))))
        for each, looks in zip(poses, small, strict=True)
    ]


def _chosen(random: np.random.Generator, frames: int, part: float) -> NDArray[np.bool_]:
    return np.isin(np.arange(frames), random.permutation(frames)[: round(part * frames)])
