import numpy as np
import pytest

from edgepose.inference.estimator import Observation
from edgepose.methods import Estimate
from edgepose.remote.acceptance import rejection_reason
from edgepose.remote.propagation import PropagatedAnswer, RememberedFrame
from edgepose.remote.thumbnails import Thumbnail
from edgepose.results import Origin
from edgepose.stats import LateReason
from edgepose.testing import FakeMethod, standing_person
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import RoiTrackerSettings

ROI = Roi(90, 50, 140, 140)
SETTINGS = RoiTrackerSettings(score_threshold=0.3)


def frame(person):
    nothing = np.zeros((13, 64, 64), np.float32)
    estimate = Estimate(nothing, None, Origin.PROPAGATED)
    look = Observation.of(FakeMethod().spec, ROI, person, estimate, 1)
    return RememberedFrame(5, 0.0, look, Thumbnail(np.zeros((160, 160), np.uint8), ROI))


def judged(theirs, ours):
    maps = np.zeros((13, 64, 64), np.float32)
    carried = PropagatedAnswer(frame(theirs), maps, np.ones(13, np.float32), asked=frame(theirs))
    return rejection_reason(carried, frame(ours), SETTINGS)


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (standing_person((160, 120), 100), None),
        (standing_person((165, 118), 100, score=0.7), None),
        (standing_person((160, 120), 100, score=0.4), LateReason.UNSUPPORTED),
        (standing_person((160, 120), 100, score=0.2), LateReason.UNSUPPORTED),
        (standing_person((300, 120), 100), LateReason.MOVED),
    ],
)
def test_an_answer_is_judged_by_place_and_sureness(theirs, reason):
    assert judged(theirs, standing_person((160, 120), 100, score=0.9)) is reason


def test_joints_that_are_missing_count_as_unsure():
    theirs = standing_person((160, 120), 100)
    theirs[5:] = np.nan, np.nan, 0
    assert judged(theirs, standing_person((160, 120), 100)) is LateReason.UNSUPPORTED
    assert judged(theirs, theirs) is None
