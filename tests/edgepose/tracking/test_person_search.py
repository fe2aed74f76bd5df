import numpy as np
import pytest

from edgepose.inference.estimator import PoseEstimator, StageClock
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.person_search import (
    CANDIDATES,
    CLOSER_LOOKS,
    FRAMES_PER_ROUND,
    MOST_REGIONS,
    REGIONS_PER_FRAME,
    PersonSearch,
)
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import FollowingSettings, search_rois

IMAGE = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture
def method():
    return FakeMethod()


@pytest.fixture
def search(method):
    return PersonSearch(PoseEstimator(fake_model(method)), FollowingSettings())


def find(search):
    return search.find(IMAGE, StageClock())


def test_the_first_frame_is_searched_completely_and_the_next_ones_in_parts(search, method):
    regions = search_rois(320, 240)
    for count in (len(regions), REGIONS_PER_FRAME, REGIONS_PER_FRAME):
        method.calls.clear()
        assert find(search) is None
        assert [call.kind for call in method.calls] == ["locate"] * count


def test_after_reset_a_frame_is_searched_completely_again(search, method):
    find(search)
    search.reset()
    method.calls.clear()
    find(search)
    assert len(method.calls) == len(search_rois(320, 240))


def test_after_a_success_the_next_search_begins_with_the_whole_frame(search, method):
    find(search)
    find(search)
    method.person = standing_person((160, 120), 200)
    while find(search) is None:
        pass
    method.person = None
    method.calls.clear()
    find(search)
    assert method.calls[0].roi == search_rois(320, 240)[0]


def test_a_person_is_looked_at_closer_and_then_by_the_head(search, method):
    method.person = standing_person((160, 120), 200)
    look = find(search)
    assert [call.kind for call in method.calls][-1] == "initialise"
    assert method.count("initialise") == 1
    assert method.count("locate") <= len(search_rois(320, 240)) + CANDIDATES * CLOSER_LOOKS
    np.testing.assert_allclose(look.keypoints[:, :2], method.person[:, :2], atol=1)


def test_a_person_cut_off_by_one_region_is_whole_in_the_end(search, method):
    """The knees of this one lie below the first of the small regions."""
    method.person = standing_person((160, 120), 50)
    np.testing.assert_allclose(find(search).keypoints[:, :2], method.person[:, :2], atol=1)


def test_less_than_half_a_person_starts_no_track(search, method):
    method.person = standing_person((160, 120), 200)
    method.person[5:, 2] = 0.1
    assert find(search) is None


def test_a_person_that_the_head_does_not_confirm_starts_no_track(search, method):
    method.person = standing_person((160, 120), 200)
    initialise = method.initialise

    def see_nothing(crop, roi):
        method.person = None
        return initialise(crop, roi)

    method.initialise = see_nothing
    assert find(search) is None


def test_the_time_is_that_of_the_search_and_then_of_the_head(search, method):
    method.person = standing_person((160, 120), 200)
    clock = StageClock()
    search.find(IMAGE, clock)
    assert list(clock.latency()) == ["search", "crop", "head", "decode", "total"]


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (720, 1280), (1920, 800), (80, 60)])
def test_every_region_is_looked_at_within_a_round(search, method, size):
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    search.find(picture, StageClock())
    method.calls.clear()
    for _ in range(FRAMES_PER_ROUND):
        search.find(picture, StageClock())
    assert {call.roi for call in method.calls} == set(search_rois(*size))


def test_a_panorama_is_searched_in_parts_none_of_which_takes_long(search, method):
    size = 4096, 128
    picture = np.zeros((size[1], size[0], 3), np.uint8)
    regions = search_rois(*size)
    assert len(regions) > 3 * MOST_REGIONS
    longest = [MOST_REGIONS] + [13] * 40
    for most in longest:
        before = len(method.calls)
        search.find(picture, StageClock())
        assert len(method.calls) - before <= most
    assert {call.roi for call in method.calls} == set(regions)


def test_the_place_of_a_loss_is_looked_at_first_in_every_frame_until_somebody_is_found(
    search, method
):
    place = Roi(200, 100, 90, 90)
    find(search)
    search.expect(place, IMAGE)
    for _ in range(2):
        method.calls.clear()
        assert find(search) is None
        assert method.calls[0].roi == place
        assert len(method.calls) == REGIONS_PER_FRAME + 1
    method.person = standing_person((245, 145), 70)
    assert find(search) is not None
    method.person = None
    method.calls.clear()
    find(search)
    assert place not in {call.roi for call in method.calls}


def test_a_place_says_nothing_about_frames_of_another_size(search, method):
    find(search)
    search.expect(Roi(200, 100, 90, 90), np.zeros((480, 640, 3), np.uint8))
    method.calls.clear()
    find(search)
    assert len(method.calls) == REGIONS_PER_FRAME
