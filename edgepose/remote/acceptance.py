"""Whether a late answer may take the track's place."""

from __future__ import annotations

import numpy as np

from edgepose.inference.estimator import Keypoints
from edgepose.remote.propagation import Carried, Frame
from edgepose.remote.recorder import LateReason
from edgepose_runtime.poses.roi_tracker import FollowingSettings, is_person

#: How much less sure than the track an answer may be: networks are not sure in the same measure.
LEAST_SUPPORT = 0.5


def objection(carried: Carried, tracked: Frame, settings: FollowingSettings) -> LateReason | None:
    """Return why an answer must not take the track's place, ``None`` if it may.

    Args:
        carried: the answer, carried up to the frame.
        tracked: the same frame as the track has it.
        settings: what counts as a person.
    """
    theirs, ours = carried.frame.look.keypoints, tracked.look.keypoints
    if not is_person(theirs, settings):
        return LateReason.UNSUPPORTED
    sure = theirs[theirs[:, 2] >= settings.score_threshold, :2]
    if not tracked.look.roi.contains(np.median(sure, axis=0).tolist()):
        return LateReason.MOVED
    if _support(theirs) < LEAST_SUPPORT * _support(ours):
        return LateReason.UNSUPPORTED
    return None


def _support(keypoints: Keypoints) -> float:
    return float(keypoints[:, 2].mean())
