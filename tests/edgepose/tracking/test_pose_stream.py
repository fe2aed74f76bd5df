from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from edgepose.inference.estimator import GIVEN_SCORE, StageClock
from edgepose.inference.person_detector import PersonRegion
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.frame import Frame
from edgepose.tracking.search.person_search import NoSearch, PersonSearch
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.geometry.roi import Roi

FRAME = np.zeros((240, 320, 3), np.uint8)
REGION = 60, 20, 200, 200


def region_after(score, new_search):
    """Track a person whose feet have a score; return the next region."""
    person = standing_person((160, 120), height=120)
    person[-2:, 2] = score
    stream = PoseStream(fake_model(FakeMethod(person)), new_search=new_search)
    stream.process(Frame(0, FRAME, 0.0, roi=REGION), StageClock())
    return stream.next_roi.height


@pytest.mark.parametrize(
    ("new_search", "is_included"), [(PersonSearch, True), (lambda _: NoSearch(), False)]
)
def test_doubtful_joints_are_in_the_region_where_they_cannot_be_a_neighbours(
    new_search, is_included
):
    doubtful = region_after(0.8 * FakeMethod().spec.score_threshold, new_search)
    assert (doubtful > 1.05 * region_after(0.0, new_search)) is is_included


@pytest.mark.parametrize(
    ("factor", "roi", "is_found"),
    [
        (1.01 * GIVEN_SCORE, REGION, True),
        (0.99 * GIVEN_SCORE, REGION, False),
        (1.01 * GIVEN_SCORE, None, False),
    ],
)
def test_a_person_may_be_a_little_less_sure_in_a_given_region_but_not_much(factor, roi, is_found):
    person = standing_person((160, 120), height=120)
    person[:, 2] = factor * FakeMethod().spec.score_threshold
    stream = PoseStream(fake_model(FakeMethod(person)))
    result = stream.process(Frame(0, FRAME, 0.0, roi=roi), StageClock())
    assert (result.keypoints is not None) is is_found


@pytest.mark.parametrize("is_detected", [True, False])
def test_a_person_whom_both_networks_doubt_is_followed_if_the_detector_sees_one(is_detected):
    method = FakeMethod(standing_person((160, 120), height=120))
    regions = [PersonRegion(Roi(88, 48, 144, 144), is_sure=False, is_cut_off=False)]
    propose = partial(PersonSearch, propose=lambda _: regions if is_detected else [])
    stream = PoseStream(fake_model(method), new_search=propose)
    stream.process(Frame(0, FRAME, 0.0), StageClock())
    advance = method.advance

    def see_nothing(crop, roi, state):
        estimate = advance(crop, roi, state)
        return replace(estimate, heatmaps=0.1 * estimate.heatmaps)

    method.advance = see_nothing
    method.person[:, 2] = 0.9 * method.spec.score_threshold
    results = [stream.process(Frame(i, FRAME, 33.0 * i), StageClock()) for i in range(1, 9)]
    assert [each.keypoints is not None for each in results] == [is_detected] * 8
