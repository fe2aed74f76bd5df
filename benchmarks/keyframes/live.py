"""Trackers that look at few frames, on whole clips: accuracy, key rate and latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.keyframes.selection import ALPHA
from edgepose.datasets.clips import Clip
from edgepose.evaluation.boxes import person_boxes
from edgepose.evaluation.metrics.scoring import Measure, Score, score_clip, scoring_skeleton
from edgepose.inference.model import PoseModel
from edgepose.keyframes import KeyFrames
from edgepose.results import Origin, PoseResult
from edgepose.stats import TOTAL
from edgepose.tracker import PoseTracker
from edgepose_runtime.geometry.crop import Image
from edgepose_runtime.geometry.roi import Roi

#: What is compared.
SETTINGS: dict[str, KeyFrames | None] = {
    "every frame": None,
    "auto": KeyFrames(),
    "auto, 8 frames late": KeyFrames(lag_frames=8),
    "tolerance 0.02": KeyFrames(tolerance=0.02),
    "tolerance 0.02, 8 frames late": KeyFrames(tolerance=0.02, lag_frames=8),
    "tolerance 0.03, 8 frames late": KeyFrames(tolerance=0.03, lag_frames=8),
}
MEASURE = Measure("torso", ALPHA)
_UNLOOKED = (Origin.PREDICTED, Origin.INTERPOLATED)


def measure_live(
    model: PoseModel, clips: Sequence[Clip], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return a row for each of the named settings."""
    frames = [list(clip.frames()) for clip in clips]
    rows = {}
    for name in names:
        rows[name] = _row(model, clips, frames, SETTINGS[name])
        print(name, rows[name], flush=True)
    return rows


def _row(
    model: PoseModel,
    clips: Sequence[Clip],
    frames: Sequence[Sequence[Image]],
    settings: KeyFrames | None,
) -> dict[str, Any]:
    runs = [
        _track(model, settings, images, clip) for clip, images in zip(clips, frames, strict=True)
    ]
    scores = tuple(
        score_clip(_poses(run, model), model.skeleton, clip, [MEASURE])
        for run, clip in zip(runs, clips, strict=True)
    )
    score = Score(scoring_skeleton(model.skeleton, clips[0].skeleton), scores)
    # The head runs on the first frame: it says nothing of those that follow for hours.
    later = [result for run in runs for result in run[1:]]
    looked = np.array([result.origin not in _UNLOOKED for result in later])
    total = np.array([result.latency[TOTAL] for result in later])
    decide = [result.latency["decide"] for result in later if "decide" in result.latency]
    return {
        "settings": None if settings is None else asdict(settings),
        "pck": score.pck(MEASURE).limbs12,
        "jitter": score.jitter,
        "key_rate": 100 * float(looked.mean()),
        "mean_ms": float(total.mean()),
        "key_ms": float(total[looked].mean()),
        "other_ms": float(total[~looked].mean()) if (~looked).any() else None,
        "decide_ms": float(np.median(decide)) if decide else None,
    }


def _track(
    model: PoseModel, settings: KeyFrames | None, images: Sequence[Image], clip: Clip
) -> list[PoseResult]:
    """Track a clip whose first box is given, and nothing else."""
    boxes: list[Roi | None] = [person_boxes(clip)[0].squared()]
    boxes += [None] * (len(images) - 1)
    stamps = [1000 * index / clip.fps for index in range(len(images))]
    if settings is None or not settings.lag_frames:
        with PoseTracker(model, key_frames=settings) as tracker:
            return [
                tracker.track(image, roi=box, timestamp_ms=stamp)
                for image, box, stamp in zip(images, boxes, stamps, strict=True)
            ]
    results: list[PoseResult] = []
    with PoseTracker(model, key_frames=settings, on_result=results.append) as tracker:
        for image, box, stamp in zip(images, boxes, stamps, strict=True):
            tracker.submit(image, stamp, roi=box)
        tracker.flush()
    return results


def _poses(run: Sequence[PoseResult], model: PoseModel) -> np.ndarray:
    nobody = np.full((model.skeleton.num_joints, 3), np.nan, np.float32)
    return np.stack([nobody if each.keypoints is None else each.keypoints for each in run])
