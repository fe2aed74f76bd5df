"""What counts as a person in a region."""

import numpy as np
import pytest

from edgepose.inference.estimator import FOLLOWED_SCORE
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker

FRAME = np.zeros((240, 320, 3), np.uint8)
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
