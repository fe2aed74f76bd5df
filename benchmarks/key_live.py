"""Trackers that look at few frames, on whole clips: accuracy, key rate and latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.key_selection import MEASURE
from edgepose.datasets.clips import Clip
from edgepose.evaluation.scoring import Score, score_clip, scoring_skeleton
from edgepose.keyframes import KeyFrames
from edgepose.loading import PoseModel
from edgepose.results import Origin, PoseResult
from edgepose.stats import TOTAL
from edgepose.tracker import PoseTracker
from edgepose_runtime.crop import Image

#: What is compared; the first looks at every frame.
SETTINGS: tuple[KeyFrames | None, ...] = (
    None,
    KeyFrames(),
    KeyFrames(tolerance=0.03),
    KeyFrames(lag_frames=8),
    KeyFrames(tolerance=0.03, lag_frames=8),
)
_UNLOOKED = (Origin.PREDICTED, Origin.INTERPOLATED)


def measure_live(
    model: PoseModel, clips: Sequence[Clip], settings: Sequence[KeyFrames | None] = SETTINGS
) -> list[dict[str, Any]]:
    """Return a row for each of the settings."""
    frames = [list(clip.frames()) for clip in clips]
    return [_row(model, clips, frames, each) for each in settings]


def _row(
    model: PoseModel,
    clips: Sequence[Clip],
    frames: Sequence[Sequence[Image]],
    settings: KeyFrames | None,
) -> dict[str, Any]:
    runs = [
        _track(model, settings, images, clip.fps)
        for clip, images in zip(clips, frames, strict=True)
    ]
    scores = tuple(
        score_clip(_poses(run, model), model.skeleton, clip, [MEASURE])
        for run, clip in zip(runs, clips, strict=True)
    )
    score = Score(scoring_skeleton(model.skeleton, clips[0].skeleton), scores)
    # The first frame of a clip is searched: it says nothing of those that follow for hours.
    later = [result for run in runs for result in run[1:]]
    looked = np.array([result.origin not in _UNLOOKED for result in later])
    total = np.array([result.latency[TOTAL] for result in later])
    decide = [result.latency["decide"] for result in later if "decide" in result.latency]
    row = {
        "settings": None if settings is None else asdict(settings),
        "pck": score.pck(MEASURE).limbs12,
        "jitter": score.jitter,
        "key_rate": 100 * float(looked.mean()),
        "mean_ms": float(total.mean()),
        "key_ms": float(total[looked].mean()),
        "other_ms": float(total[~looked].mean()) if (~looked).any() else None,
        "decide_ms": float(np.median(decide)) if decide else None,
    }
    print(row, flush=True)
    return row


def _track(
    model: PoseModel, settings: KeyFrames | None, images: Sequence[Image], fps: float
) -> list[PoseResult]:
    if settings is None or not settings.lag_frames:
        with PoseTracker(model, key_frames=settings) as tracker:
            return [
                tracker.track(image, timestamp_ms=1000 * index / fps)
                for index, image in enumerate(images)
            ]
    results: list[PoseResult] = []
    with PoseTracker(model, key_frames=settings, on_result=results.append) as tracker:
        for index, image in enumerate(images):
            tracker.submit(image, 1000 * index / fps)
        tracker.flush()
    return results


def _poses(run: Sequence[PoseResult], model: PoseModel) -> np.ndarray:
    nobody = np.full((model.skeleton.num_joints, 3), np.nan, np.float32)
    return np.stack([nobody if each.keypoints is None else each.keypoints for each in run])
