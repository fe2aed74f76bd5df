import numpy as np
import pytest

from edgepose.inference.estimator import PoseEstimator, StageClock
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.person_search import (
    CANDIDATES,
    FRAMES_PER_ROUND,
    MOST_REGIONS,
    REGION_UPDATES,
    REGIONS_PER_FRAME,
    PersonSearch,
)
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import RoiTrackerSettings, search_rois

IMAGE = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture
def method():
    return FakeMethod()


@pytest.fixture
def search(method):
    return PersonSearch(PoseEstimator(fake_model(method)), RoiTrackerSettings())


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
    assert method.count("locate") <= len(search_rois(320, 240)) + CANDIDATES * REGION_UPDATES
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


def test_each_candidate_costs_a_wide_look_and_one_that_fits(search, method):
    """A region that changes little any more is not looked at again."""
    method.person = standing_person((160, 120), 110)
    assert find(search) is not None
    regions = [call.roi for call in method.calls if call.kind == "locate"]
    closer = regions[len(search_rois(320, 240)) :]
    assert len(closer) == 2 * CANDIDATES
    for wide, fitting in zip(closer[::2], closer[1::2], strict=True):
        assert wide.width > 1.1 * fitting.width
        assert fitting.width == pytest.approx(method.calls[-1].roi.width, rel=0.1)


def test_a_person_with_low_scores_in_all_regions_of_the_search_is_looked_at_closer(search, method):
    """Half of the threshold is enough for that; to be a person takes the whole one."""
    person, look = standing_person((150, 130), 110), method._look

    def dimly(kind, crop, roi):
        method.person = person.copy()
        if roi in search_rois(320, 240):
            method.person[:, 2] = 0.2
        return look(kind, crop, roi)

    method._look = dimly
    np.testing.assert_allclose(find(search).keypoints[:, :2], person[:, :2], atol=1)


class Crowd(FakeMethod):
    """Sees, of several people, the one nearest to the middle of a region."""

    def __init__(self, *people):
        super().__init__()
        self.people = people

    def _look(self, kind, crop, roi):
        self.person = min(self.people, key=lambda p: np.hypot(*(p[:, :2].mean(0) - roi.center)))
        return super()._look(kind, crop, roi)


def found_of(*people):
    """Return the joints (K, 2) of whoever a search finds of several people."""
    look = find(PersonSearch(PoseEstimator(fake_model(Crowd(*people))), RoiTrackerSettings()))
    return look.keypoints[look.keypoints[:, 2] >= 0.3, :2]


@pytest.mark.parametrize("mirrored", [False, True])
def test_of_two_people_the_larger_one_is_meant(mirrored):
    near, far = standing_person((230, 120), 140, score=0.9), standing_person((80, 120), 60)
    people = (far, near)[:: -1 if mirrored else 1]
    np.testing.assert_allclose(found_of(*people), near[:, :2], atol=1.5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_few_sure_joints_say_more_than_many_doubtful_ones(mirrored):
    """The sums of both people's scores are about the same, and so are their sizes."""
    sure, doubtful = standing_person((80, 120), 100), standing_person((230, 120), 100, score=0.55)
    seen = [0, 1, 2, 9, 11, 12]
    sure[np.setdiff1d(np.arange(13), seen), 2] = 0.1
    people = (doubtful, sure)[:: -1 if mirrored else 1]
    np.testing.assert_allclose(found_of(*people), sure[seen, :2], atol=1.5)
