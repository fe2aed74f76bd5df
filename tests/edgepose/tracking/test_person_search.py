import numpy as np
import pytest

from edgepose.inference.estimator import FOLLOWED_SCORE, PoseEstimator, StageClock
from edgepose.inference.person_detector import PersonRegion
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracking.search.person_search import (
    DETECTION_LOOKS,
    FRAMES_PER_DETECTION,
    FRAMES_PER_ROUND,
    HEAD_LOOKS,
    MOST_REGIONS,
    REGIONS_PER_FRAME,
    TRUSTED_FRAMES,
    PersonSearch,
)
from edgepose.tracking.search.region_search import CANDIDATES, REGION_UPDATES
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET, LOOK_COST, MOST_SAVED
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.roi_tracker import search_rois

IMAGE = np.zeros((240, 320, 3), np.uint8)


@pytest.fixture
def method():
    return FakeMethod()


@pytest.fixture
def search(method):
    return PersonSearch(PoseEstimator(fake_model(method)))


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
    longest = [MOST_REGIONS] + [13] * 400
    for most in longest:
        before = len(method.calls)
        search.find(picture, StageClock())
        assert len(method.calls) - before <= most
    assert {call.roi for call in method.calls} == set(regions)


def test_the_place_of_a_loss_is_looked_at_first_in_the_frames_after_it(search, method):
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
    look = find(PersonSearch(PoseEstimator(fake_model(Crowd(*people)))))
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


def looks_at(method):
    """The cost of all calls, in looks at a region."""
    return method.count("locate") + HEAD_LOOKS * method.count("initialise")


def moving_frames(count, size=(320, 240)):
    """Frames with a block that never stands still."""
    for number in range(count):
        picture = np.zeros((size[1], size[0], 3), np.uint8)
        x = 60 + 8 * number % 80
        picture[60:140, x : x + 40] = 255
        yield picture


@pytest.mark.parametrize("budget", [0.25, 1.0, 1.5, 4.0])
@pytest.mark.parametrize("seen", ["nobody", "half a person", "a person that no head confirms"])
def test_on_average_an_empty_frame_costs_no_more_than_the_budget(method, seen, budget):
    if seen != "nobody":
        method.person = standing_person((160, 120), 100)
        method.person[5 if seen == "half a person" else 13 :, 2] = 0.1
        initialise, people = method.initialise, method.person

        def see_nothing(crop, roi):
            method.person = None
            estimate = initialise(crop, roi)
            method.person = people
            return estimate

        method.initialise = see_nothing
    search = PersonSearch(PoseEstimator(fake_model(method)), budget)
    find(search)
    method.calls.clear()
    frames = 600
    for picture in moving_frames(frames):
        assert search.find(picture, StageClock()) is None
    last = CANDIDATES * REGION_UPDATES + HEAD_LOOKS
    assert looks_at(method) * LOOK_COST <= budget * frames + MOST_SAVED + last
    assert method.count("locate") > budget * frames / 4


def test_what_moves_for_ever_does_not_stop_the_round(search, method):
    find(search)
    pictures = list(moving_frames(100))
    for picture in pictures[:70]:
        search.find(picture, StageClock())
    method.calls.clear()
    for picture in pictures[70:]:
        search.find(picture, StageClock())
    assert {call.roi for call in method.calls} > set(search_rois(320, 240))


def test_somebody_small_who_enters_after_a_long_time_is_found_at_once():
    """Among 35 regions, searched one a frame, that would take a second."""
    size, method = (1920, 1080), FakeMethod(smallest=0.5)
    search = PersonSearch(PoseEstimator(fake_model(method)))
    empty = np.zeros((size[1], size[0], 3), np.uint8)
    for _ in range(200):
        assert search.find(empty, StageClock()) is None
    for number in range(3):
        x = 1500 - 20 * number
        picture = empty.copy()
        picture[700:900, x - 30 : x + 30] = 200
        method.person = standing_person((x, 800), 200)
        if search.find(picture, StageClock()) is not None:
            break
    else:
        pytest.fail("The person was not found within three frames.")


def test_after_a_cut_the_search_hurries_again(search, method):
    for _ in range(60):
        find(search)
    method.calls.clear()
    search.find(np.full((240, 320, 3), 200, np.uint8), StageClock())
    assert len(method.calls) == REGIONS_PER_FRAME


def test_frames_with_a_person_pay_for_the_search_after_them(search, method):
    for _ in range(200):
        find(search)
    search.expect(Roi(200, 100, 90, 90), IMAGE)
    spent = []
    for tracked in (0, 200):
        for _ in range(tracked):
            search.skipped()
        method.calls.clear()
        search.expect(Roi(200, 100, 90, 90), IMAGE)
        for _ in range(FRAMES_PER_ROUND):
            find(search)
        spent.append(len(method.calls))
    assert spent[1] == FRAMES_PER_ROUND * (REGIONS_PER_FRAME + 1)


@pytest.mark.parametrize("budget", [0, -1.5, float("nan"), float("inf"), "much", None, True])
def test_a_budget_that_is_none_is_refused(method, budget):
    with pytest.raises(ConfigError, match="search_budget must be a number above 0"):
        PersonSearch(PoseEstimator(fake_model(method)), budget)


def proposing(method, *regions):
    """A search with a detector that proposes these regions, and what counts its runs."""
    runs = []

    def propose(image):
        runs.append(image.shape)
        sure = {"is_sure": True, "is_cut_off": False}
        return [
            each if isinstance(each, PersonRegion) else PersonRegion(each, **sure)
            for each in regions
        ]

    estimator = PoseEstimator(fake_model(method))
    return PersonSearch(estimator, propose=propose), runs


def test_the_detector_is_not_asked_for_whom_the_light_network_finds(method):
    method.person = standing_person((160, 120), 100)
    search, runs = proposing(method, Roi(90, 50, 140, 140))
    assert find(search) is not None
    assert not runs


def test_of_whom_the_detector_sees_three_joints_are_enough(method):
    method.person = standing_person((160, 120), 100)
    method.person[3:, 2] = 0.1
    assert find(proposing(method, Roi(90, 50, 140, 140))[0]) is not None
    assert find(proposing(method)[0]) is None


def test_while_nothing_happens_the_detector_runs_on_one_frame_of_many(method):
    search, runs = proposing(method)
    for _ in range(2 * FRAMES_PER_ROUND):
        find(search)
    runs.clear()
    for _ in range(4 * FRAMES_PER_DETECTION):
        find(search)
    assert len(runs) == 4


def test_the_detector_is_paid_from_the_same_budget(method):
    """Something moves in every frame, so that the detector would run on each of them."""
    search, runs = proposing(method)
    find(search)
    method.calls.clear()
    runs.clear()
    frames = 600
    for picture in moving_frames(frames):
        search.find(picture, StageClock())
    looks = looks_at(method) + DETECTION_LOOKS * len(runs)
    assert looks * LOOK_COST <= DEFAULT_BUDGET * frames + MOST_SAVED + CANDIDATES * REGION_UPDATES
    assert len(runs) > frames / FRAMES_PER_DETECTION
    assert method.count("locate") > frames / 4


@pytest.mark.parametrize(
    ("is_cut_off", "height", "is_found"),
    [
        (True, 240, True),
        (False, 240, False),
        (True, 100, False),
    ],
)
def test_a_doubtful_detection_counts_if_the_frame_cuts_the_person_off(
    method, is_cut_off, height, is_found
):
    method.person = standing_person((160, 180), height)
    method.person[5:, 2] = 0.1
    place = Roi(70, 60, 180, 180)
    search, _ = proposing(method, PersonRegion(place, is_sure=False, is_cut_off=is_cut_off))
    assert (find(search) is not None) is is_found


def doubtful_person(method):
    """Show a person whom the head doubts, but not if it is somebody who is followed."""
    method.person = standing_person((160, 120), 100)
    method.person[:, 2] = 0.9 * method.spec.score_threshold


@pytest.mark.parametrize(
    ("place", "is_found"),
    [
        (Roi(80, 40, 160, 160), True),
        (Roi(160, 120, 160, 160), False),
    ],
)
def test_whom_the_detector_sees_at_the_place_of_the_loss_is_not_lost(method, place, is_found):
    search, _ = proposing(method, Roi(85, 45, 150, 150))
    find(search)
    doubtful_person(method)
    look = search.find(IMAGE, StageClock(), place, everywhere=False)
    assert (look is not None) is is_found
    assert (search.score_factor(None) < 1) is is_found


def test_frames_that_show_the_person_save_up_for_every_later_loss(method):
    place = Roi(85, 45, 150, 150)
    search, _ = proposing(method, place)
    find(search)
    doubtful_person(method)
    for _ in range(12):
        assert search.find(IMAGE, StageClock(), place, everywhere=False) is not None
        for _ in range(60):
            search.skipped()


def test_the_head_looks_once_only_at_where_the_person_was_lost(method):
    place = Roi(85, 45, 150, 150)
    search, _ = proposing(method, place)
    find(search)
    method.person = None
    method.calls.clear()
    assert search.find(IMAGE, StageClock(), place) is None
    assert [call.roi for call in method.calls if call.kind == "initialise"] == [place]


def test_only_the_place_of_the_loss_is_looked_at_where_that_is_asked_for(method):
    search, runs = proposing(method)
    find(search)
    method.calls.clear()
    runs.clear()
    assert search.find(IMAGE, StageClock(), Roi(80, 40, 160, 160), everywhere=False) is None
    assert (len(runs), method.calls) == (1, [])


def test_the_head_may_doubt_a_detected_person_for_some_frames_or_until_the_next_loss(method):
    place = Roi(85, 45, 150, 150)
    search, _ = proposing(method, place)
    find(search)
    doubtful_person(method)
    search.find(IMAGE, StageClock(), place)
    for _ in range(TRUSTED_FRAMES - 1):
        search.skipped()
    assert search.score_factor(None) == FOLLOWED_SCORE
    search.skipped()
    assert search.score_factor(None) == 1
    search.find(IMAGE, StageClock(), place)
    search.expect(place, IMAGE)
    assert search.score_factor(None) == 1


@pytest.mark.parametrize("frames", [FRAMES_PER_ROUND, 45])
def test_after_a_search_in_vain_enough_is_left_for_the_return_of_the_person(method, frames):
    (search, runs), place = proposing(method), Roi(80, 40, 160, 160)
    dark, bright = (np.full((720, 1280, 3), grey, np.uint8) for grey in (0, 200))
    search.find(dark, StageClock())
    search.find(dark, StageClock(), place)
    search.expect(place, dark)
    for _ in range(frames):
        search.find(dark, StageClock())
    method.calls.clear()
    runs.clear()
    search.find(bright, StageClock())
    assert len(runs) == 1
    assert method.count("locate") > REGIONS_PER_FRAME


def test_while_the_detector_sees_nothing_it_runs_less_often(method):
    for regions, often in ([], False), ([Roi(0, 0, 40, 40)], True):
        search, runs = proposing(method, *regions)
        find(search)
        runs.clear()
        for _ in range(3):
            find(search)
        assert (len(runs) == 3) is often
