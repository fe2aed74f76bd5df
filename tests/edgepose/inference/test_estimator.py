"""What counts as a person in a region."""

import numpy as np
import pytest

from edgepose.inference.estimator import FOLLOWED_SCORE, PoseEstimator, StageClock, is_inside
from edgepose.inference.model import load
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.geometry.roi import Roi

FRAME = np.zeros((240, 320, 3), np.uint8)
REGION = Roi(200, 100, 240, 240)
THRESHOLD = FakeMethod().spec.score_threshold


def person(score):
    pose = standing_person((160, 120), height=120)
    pose[:, 2] = score
    return pose


def poses(scores, **options):
    method = FakeMethod(person(0.9), **options)
    with PoseTracker(fake_model(method)) as tracker:
        for score in scores:
            method.person = person(score)
            yield tracker.track(FRAME).keypoints is not None


@pytest.mark.parametrize(("part", "is_kept"), [(1 + FOLLOWED_SCORE, True), (1.4, False)])
def test_who_is_followed_may_be_seen_less_surely_than_who_is_found(part, is_kept):
    between = THRESHOLD * part / 2
    assert list(poses([0.9, between])) == [True, is_kept]
    assert list(poses([between])) == [False]


def test_each_time_the_head_runs_it_has_to_be_sure_again():
    doubtful = THRESHOLD * (1 + FOLLOWED_SCORE) / 2
    assert list(poses([0.9] + 4 * [doubtful], reinitialise_every=3)) == [True] * 3 + [False] * 2


WALLS = [np.full((480, 640, 3), colour, np.uint8) for colour in (90, 128, 230, (120, 160, 190))]


@pytest.mark.parametrize("name", ["ppn-swift", "ppn-stable"])
def test_the_head_sees_nobody_in_front_of_a_wall(name):
    with load(name, num_threads=1) as model:
        estimator = PoseEstimator(model)
        looks = [estimator.initialise(wall, REGION, StageClock()) for wall in WALLS]
    assert [look.survey.is_person for look in looks] == [False] * len(WALLS)


def test_joints_at_the_border_of_the_region_make_no_person():
    middle, border = REGION.x + REGION.width / 2, REGION.y + 2
    assert not is_inside(np.float32([[middle, border, 0.9]] * 13), REGION, 0.5)
    assert not is_inside(np.float32([[REGION.x + 15, middle, 0.9]] * 13), REGION, 0.5)
    assert not is_inside(np.float32([[middle, middle, 0.4]] * 13), REGION, 0.5)
    assert is_inside(np.float32([[middle, middle, 0.6]] * 2), REGION, 0.5)
