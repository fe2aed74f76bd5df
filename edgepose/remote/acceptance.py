"""Whether a late answer may replace the track's pose."""

from __future__ import annotations

import numpy as np

from edgepose.inference.estimator import Keypoints
from edgepose.remote.propagation import PropagatedAnswer, RememberedFrame
from edgepose.stats import LateReason
from edgepose_runtime.poses.roi_tracker import RoiTrackerSettings, is_person

#: An answer's mean score relative to the track's, at least: scores of networks differ in scale.
LEAST_SUPPORT = 0.5


def rejection_reason(
    answer: PropagatedAnswer, tracked: RememberedFrame, settings: RoiTrackerSettings
) -> LateReason | None:
    """Return why an answer must not replace the track's pose, ``None`` if it may.

    Args:
        answer: propagated to the frame.
        tracked: the same frame in the track.
        settings: what counts as a person.
    """
    theirs, ours = answer.frame.observation.keypoints, tracked.observation.keypoints
    if not is_person(theirs, settings):
        return LateReason.UNSUPPORTED
    sure = theirs[theirs[:, 2] >= settings.score_threshold, :2]
    if not tracked.observation.roi.contains(np.median(sure, axis=0).tolist()):
        return LateReason.MOVED
    if _support(theirs) < LEAST_SUPPORT * _support(ours):
        return LateReason.UNSUPPORTED
    return None


def _support(keypoints: Keypoints) -> float:
    return float(keypoints[:, 2].mean())
