import threading
import time

import numpy as np
import pytest

import edgepose
from edgepose.inference.model import PoseModel, load
from edgepose.results import Origin
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.errors import (
    ClosedError,
    ConfigError,
    FrameError,
    InferenceError,
    RoiError,
    TimestampError,
)
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.smoothing import OneEuroSettings

FRAME = np.zeros((240, 320, 3), np.uint8)
PERSON = standing_person((160, 120), height=120)


@pytest.fixture
def method():
    return FakeMethod(PERSON)


@pytest.fixture
def tracker(method):
    with PoseTracker(fake_model(method), smoothing=False) as made:
        yield made


def assert_same_state(tracker, method, stamp):
    """The frame after a refused one is tracked as if nothing had been."""
    result = tracker.track(FRAME, timestamp_ms=stamp)
    assert result.frame_id == 1
    assert result.origin is Origin.PROPAGATED
    assert result.key_frame_age == 1


class TestResult:
    def test_the_pose_is_in_pixels_of_the_frame(self, tracker):
        result = tracker.track(FRAME, timestamp_ms=0)
        assert result.keypoints.shape == (13, 3)
        assert result.keypoints.dtype == np.float32
        np.testing.assert_allclose(result.keypoints[:, :2], PERSON[:, :2], atol=0.3)
        assert result.reason is None

    def test_it_says_what_each_stage_cost(self, tracker):
        first, second = (tracker.track(FRAME, timestamp_ms=stamp).latency for stamp in (0, 1))
        assert {"search", "crop", "head", "decode", "follow", "total"} == set(first)
        assert {"crop", "network", "decode", "follow", "total"} == set(second)
        assert second["total"] >= sum(ms for stage, ms in second.items() if stage != "total")

    def test_frames_are_numbered_and_stamped(self, tracker):
        results = [tracker.track(FRAME, timestamp_ms=stamp) for stamp in (5.0, 45.0)]
        assert [result.frame_id for result in results] == [0, 1]
        assert [result.timestamp_ms for result in results] == [5.0, 45.0]

    def test_without_timestamps_the_time_of_the_work_counts_too(self, tracker, method, monkeypatch):
        now, look = [100.0], method._look

        def take_a_second(*asked):
            now[0] += 1.0
            return look(*asked)

        method._look = take_a_second
        monkeypatch.setattr(time, "monotonic", lambda: now[0])
        first = tracker.track(FRAME)
        called = now[0]
        second = tracker.track(FRAME)
        assert (first.timestamp_ms, second.timestamp_ms) == (100_000.0, called * 1e3)

    def test_without_timestamps_time_still_rises(self, tracker):
        first, second = tracker.track(FRAME), tracker.track(FRAME)
        assert second.timestamp_ms > first.timestamp_ms

    def test_joints_go_by_name(self, tracker):
        result = tracker.track(FRAME)
        np.testing.assert_array_equal(result.joint("left_ankle"), result.keypoints[12])
        with pytest.raises(ConfigError, match="no joint 'tail'"):
            result.joint("tail")

    def test_a_joint_with_a_low_score_keeps_its_place(self, tracker, method):
        method.person = PERSON.copy()
        method.person[6, 2] = 0.05
        wrist = tracker.track(FRAME).keypoints[6]
        np.testing.assert_allclose(wrist[:2], PERSON[6, :2], atol=0.5)
        assert wrist[2] == pytest.approx(0.05, abs=0.02)

    def test_a_joint_that_was_not_seen_is_nan_with_score_0(self, tracker, method):
        method.person = PERSON.copy()
        method.person[6, 2] = 0
        wrist = tracker.track(FRAME).keypoints[6]
        assert np.isnan(wrist[:2]).all()
        assert wrist[2] == 0


class TestOrigin:
    def test_the_head_runs_on_the_first_frame_and_the_pose_is_carried_on(self, tracker, method):
        results = [tracker.track(FRAME, timestamp_ms=stamp) for stamp in range(4)]
        assert [str(result.origin) for result in results] == ["initialised"] + ["propagated"] * 3
        assert [result.key_frame_age for result in results] == [0, 1, 2, 3]
        assert method.count("initialise") == 1

    def test_the_head_runs_every_n_frames_if_asked(self, method):
        tracker = PoseTracker(fake_model(method), reinitialise_every=3)
        ages = [tracker.track(FRAME, timestamp_ms=stamp).key_frame_age for stamp in range(7)]
        assert ages == [0, 1, 2, 0, 1, 2, 0]

    @pytest.mark.parametrize(("option", "expected"), [(None, [0, 1, 0, 1]), (0, [0, 1, 2, 3])])
    def test_the_bundle_recommends_and_the_user_decides(self, option, expected):
        model = fake_model(FakeMethod(PERSON, reinitialise_every=2))
        tracker = PoseTracker(model, reinitialise_every=option)
        ages = [tracker.track(FRAME, timestamp_ms=stamp).key_frame_age for stamp in range(4)]
        assert ages == expected

    def test_after_a_long_gap_the_head_starts_afresh(self, tracker):
        tracker.track(FRAME, timestamp_ms=0)
        assert tracker.track(FRAME, timestamp_ms=500).origin is Origin.PROPAGATED
        assert tracker.track(FRAME, timestamp_ms=5000).origin is Origin.INITIALISED


class TestFindingAndFollowing:
    @pytest.mark.parametrize("center", [(160, 120), (40, 60), (290, 180)])
    @pytest.mark.parametrize("height", [50, 110, 220])
    def test_the_first_frame_finds_the_person(self, tracker, method, center, height):
        method.person = standing_person(center, height)
        result = tracker.track(FRAME)
        inside = np.all((method.person[:, :2] >= 0) & (method.person[:, :2] < (320, 240)), axis=1)
        np.testing.assert_allclose(
            result.keypoints[inside, :2], method.person[inside, :2], atol=0.02 * height
        )

    def test_the_region_moves_with_the_person(self, tracker, method):
        for step in range(30):
            method.person = standing_person((60 + 6 * step, 120), height=120)
            result = tracker.track(FRAME, timestamp_ms=40 * step)
            np.testing.assert_allclose(result.keypoints[:, :2], method.person[:, :2], atol=0.5)
        assert method.count("initialise") == 1

    def test_a_frame_without_a_person_has_no_pose_and_says_why(self, tracker, method):
        method.person = None
        result = tracker.track(FRAME)
        assert result.keypoints is None
        assert result.reason == "no person found"
        assert result.roi is None
        assert result.origin is None
        assert result.key_frame_age is None

    def test_the_work_per_frame_is_bounded_while_nobody_is_there(self, tracker, method):
        method.person = None
        tracker.track(FRAME, timestamp_ms=0)
        for stamp in range(1, 20):
            method.calls.clear()
            tracker.track(FRAME, timestamp_ms=stamp)
            assert method.count("locate") <= 4
            assert method.count("initialise") == 0

    def test_all_regions_get_their_turn(self, tracker, method):
        method.person = None
        tracker.track(FRAME, timestamp_ms=0)
        everywhere = {call.roi for call in method.calls}
        method.calls.clear()
        for stamp in range(1, 10):
            tracker.track(FRAME, timestamp_ms=stamp)
        assert {call.roi for call in method.calls} == everywhere

    def test_somebody_who_comes_later_is_found(self, tracker, method):
        method.person = None
        for stamp in range(5):
            assert tracker.track(FRAME, timestamp_ms=stamp).keypoints is None
        method.person = standing_person((260, 180), height=60)
        results = [tracker.track(FRAME, timestamp_ms=stamp) for stamp in range(5, 15)]
        assert results[-1].keypoints is not None

    def test_after_a_cut_the_person_is_found_in_the_same_frame(self, tracker, method):
        tracker.track(FRAME, timestamp_ms=0)
        method.person = standing_person((270, 60), height=100)
        result = tracker.track(FRAME, timestamp_ms=40)
        assert result.origin is Origin.INITIALISED
        np.testing.assert_allclose(result.keypoints[:, :2], method.person[:, :2], atol=1.5)

    def test_a_person_who_leaves_is_lost_and_found_again(self, tracker, method):
        stamps = iter(range(0, 4000, 40))
        tracker.track(FRAME, timestamp_ms=next(stamps))
        method.person = None
        gone = [tracker.track(FRAME, timestamp_ms=next(stamps)) for _ in range(10)]
        assert all(result.keypoints is None for result in gone)
        assert gone[0].reason == "person lost"
        assert gone[-1].reason == "no person found"
        method.person = PERSON
        back = [tracker.track(FRAME, timestamp_ms=next(stamps)) for _ in range(5)]
        assert back[-1].keypoints is not None

    def test_a_few_doubtful_frames_do_not_end_the_track(self, tracker, method):
        tracker.track(FRAME, timestamp_ms=0)
        method.person = PERSON.copy()
        method.person[2:, 2] = 0.1
        assert tracker.track(FRAME, timestamp_ms=40).reason == "person lost"
        method.person = PERSON
        result = tracker.track(FRAME, timestamp_ms=80)
        assert result.origin is Origin.INITIALISED
        assert "search" not in result.latency

    def test_a_frame_of_another_size_starts_afresh(self, tracker, method):
        tracker.track(FRAME, timestamp_ms=0)
        method.person = standing_person((500, 300), height=300)
        result = tracker.track(np.zeros((600, 800, 3), np.uint8), timestamp_ms=40)
        assert result.origin is Origin.INITIALISED
        np.testing.assert_allclose(result.keypoints[:, :2], method.person[:, :2], atol=2)

    def test_a_person_in_much_smaller_frames_is_followed_from_the_first_one_on(
        self, tracker, method
    ):
        method.person = standing_person((1600, 1200), height=1900)
        tracker.track(np.zeros((2400, 3200, 3), np.uint8), timestamp_ms=0)
        method.person = standing_person((160, 120), height=70)
        results = [tracker.track(FRAME, timestamp_ms=stamp) for stamp in (40, 80)]
        assert [result.origin for result in results] == [Origin.INITIALISED, Origin.PROPAGATED]

    def test_the_place_of_a_loss_counts_for_frames_of_that_size_only(self, tracker, method):
        method.person = standing_person((1900, 900), height=400)
        tracker.track(np.zeros((1200, 2400, 3), np.uint8), timestamp_ms=0)
        method.person = None
        method.calls.clear()
        for stamp in (40, 80):
            assert tracker.track(FRAME, timestamp_ms=stamp).keypoints is None
        assert all(Roi(0, 0, 320, 240).contains(call.roi.center) for call in method.calls)


class TestRoi:
    def test_a_roi_is_looked_at_alone_and_as_it_is(self, tracker, method):
        result = tracker.track(FRAME, roi=(80, 40, 160, 160))
        assert result.roi == (80, 40, 160, 160)
        assert [call.roi.as_tuple() for call in method.calls] == [(80, 40, 160, 160)]

    def test_the_enclosing_square_is_taken_if_it_is_no_square(self, tracker):
        assert tracker.track(FRAME, roi=(100, 40, 80, 160)).roi == (60, 40, 160, 160)

    def test_who_is_said_to_be_there_may_be_seen_less_surely(self, tracker, method):
        method.person = standing_person((160, 120), 120, score=0.97 * method.spec.score_threshold)
        assert tracker.track(FRAME, timestamp_ms=0).keypoints is None
        assert tracker.track(FRAME, roi=(80, 40, 160, 160), timestamp_ms=40).keypoints is not None

    def test_the_pose_is_carried_on_from_roi_to_roi(self, tracker):
        first = tracker.track(FRAME, roi=(80, 40, 160, 160), timestamp_ms=0)
        second = tracker.track(FRAME, roi=(70, 30, 170, 170), timestamp_ms=40)
        assert [first.origin, second.origin] == [Origin.INITIALISED, Origin.PROPAGATED]

    def test_a_roi_somewhere_else_starts_afresh(self, tracker, method):
        tracker.track(FRAME, roi=(80, 40, 160, 160), timestamp_ms=0)
        method.person = standing_person((270, 120), 80)
        result = tracker.track(FRAME, roi=(230, 70, 90, 90), timestamp_ms=40)
        assert result.origin is Origin.INITIALISED

    def test_a_roi_of_a_frame_of_another_size_starts_afresh(self, tracker):
        tracker.track(FRAME, roi=(80, 40, 160, 160), timestamp_ms=0)
        larger = np.zeros((480, 640, 3), np.uint8)
        result = tracker.track(larger, roi=(80, 40, 160, 160), timestamp_ms=40)
        assert result.origin is Origin.INITIALISED

    def test_the_person_in_a_roi_is_followed_without_one(self, tracker, method):
        tracker.track(FRAME, roi=(80, 40, 160, 160), timestamp_ms=0)
        assert tracker.track(FRAME, timestamp_ms=40).origin is Origin.PROPAGATED
        assert method.count("locate") == 0

    def test_an_empty_roi_has_no_pose_and_says_why(self, tracker):
        result = tracker.track(FRAME, roi=(0, 0, 40, 40))
        assert result.keypoints is None
        assert result.reason == "no person in the given roi"
        assert result.roi == (0, 0, 40, 40)

    @pytest.mark.parametrize(
        ("roi", "sentence"),
        [
            ((400, 10, 50, 50), "lies outside the frame"),
            ((-60, 10, 50, 50), "lies outside the frame"),
            ((10, 10, 0, 50), "has no area"),
            ((10, 10, 50, -5), "has no area"),
            ((np.nan, 10, 50, 50), "not finite"),
            ((10, np.inf, 50, 50), "not finite"),
            ((10, 10, 50), "four numbers"),
            ("10,10,50,50", "four numbers"),
            (7, "four numbers"),
            ((10**400, 0, 9, 9), "four numbers"),
        ],
    )
    def test_a_roi_that_is_none_is_refused_and_forgotten(self, tracker, method, roi, sentence):
        tracker.track(FRAME, timestamp_ms=0)
        with pytest.raises(RoiError, match=sentence):
            tracker.track(FRAME, roi=roi, timestamp_ms=40)
        assert_same_state(tracker, method, 40)


class TestBadFrames:
    def test_a_frame_that_ctrl_c_ends_is_counted_as_an_error(self, tracker, monkeypatch):
        def interrupted(*_, **__):
            raise KeyboardInterrupt

        monkeypatch.setattr(tracker._stream._step, "track", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tracker.track(FRAME)
        assert (tracker.stats.frames, tracker.stats.errors) == (1, 1)

    @pytest.mark.parametrize(
        "frame",
        [
            np.zeros((240, 320, 3), np.float32),
            np.full((240, 320, 3), np.nan),
            np.zeros((240, 320, 3), np.uint16),
            np.zeros((240, 320, 2), np.uint8),
            np.zeros((1, 240, 320, 3), np.uint8),
            np.zeros((0, 320, 3), np.uint8),
            np.zeros((240, 0, 3), np.uint8),
            np.zeros(0, np.uint8),
            None,
            "frame.png",
        ],
    )
    def test_a_frame_that_is_none_is_refused_and_forgotten(self, tracker, method, frame):
        tracker.track(FRAME, timestamp_ms=0)
        with pytest.raises(FrameError):
            tracker.track(frame, timestamp_ms=40)
        assert_same_state(tracker, method, 40)

    @pytest.mark.parametrize(
        "frame",
        [
            np.zeros((240, 320), np.uint8),
            np.zeros((240, 320, 1), np.uint8),
            np.zeros((240, 320, 4), np.uint8),
            np.zeros((240, 640, 3), np.uint8)[:, ::2],
            np.zeros((320, 240, 3), np.uint8).transpose(1, 0, 2),
        ],
    )
    def test_grey_bgra_and_strided_frames_are_taken(self, tracker, frame):
        assert tracker.track(frame).keypoints is not None

    def test_a_frame_of_one_pixel_has_no_person(self, tracker, method):
        method.person = None
        assert tracker.track(np.zeros((1, 1, 3), np.uint8)).keypoints is None

    def test_an_8k_frame_is_tracked(self, tracker, method):
        method.person = standing_person((4000, 2200), height=2500)
        result = tracker.track(np.zeros((4320, 7680, 3), np.uint8))
        np.testing.assert_allclose(result.keypoints[:, :2], method.person[:, :2], atol=20)

    @pytest.mark.parametrize("stamp", [0.0, -40.0, np.nan])
    def test_a_bad_timestamp_costs_one_frame(self, tracker, method, stamp):
        tracker.track(FRAME, timestamp_ms=0)
        with pytest.raises(TimestampError):
            tracker.track(FRAME, timestamp_ms=stamp)
        assert_same_state(tracker, method, 40)

    def test_a_network_that_fails_costs_one_frame(self, tracker, method):
        tracker.track(FRAME, timestamp_ms=0)
        method.error = InferenceError("The device is gone.")
        with pytest.raises(InferenceError):
            tracker.track(FRAME, timestamp_ms=40)
        assert_same_state(tracker, method, 80)

    def test_every_frame_is_counted(self, tracker, method):
        tracker.track(FRAME, timestamp_ms=0)
        with pytest.raises(FrameError):
            tracker.track(None)
        method.person = None
        tracker.track(FRAME, timestamp_ms=40)
        stats = tracker.stats
        assert (stats.frames, stats.poses, stats.errors, stats.without_person) == (3, 1, 1, 1)


class TestSmoothing:
    def jitter(self, smoothing):
        method = FakeMethod(PERSON)
        tracker = PoseTracker(fake_model(method), smoothing=smoothing)
        random = np.random.default_rng(0)
        wrist = []
        for step in range(60):
            method.person = PERSON.copy()
            method.person[:, :2] += random.normal(0, 0.5, (13, 2))
            wrist.append(tracker.track(FRAME, timestamp_ms=33.3 * step).keypoints[5, :2])
        return np.std(wrist[20:], axis=0).mean()

    def test_it_takes_jitter_out_and_can_be_switched_off_or_tuned(self):
        off = self.jitter(smoothing=False)
        assert self.jitter(smoothing=True) < 0.8 * off
        assert self.jitter(OneEuroSettings(min_cutoff_hz=0.2, beta=0.0)) < 0.4 * off

    def test_it_does_not_smear_one_place_into_another(self, method):
        tracker = PoseTracker(fake_model(method))
        tracker.track(FRAME, timestamp_ms=0)
        method.person = standing_person((270, 60), height=100)
        result = tracker.track(FRAME, timestamp_ms=40)
        np.testing.assert_allclose(result.keypoints[:, :2], method.person[:, :2], atol=1.5)


class TestLifecycle:
    def test_reset_is_as_good_as_new(self, tracker):
        tracker.track(FRAME, timestamp_ms=100)
        tracker.reset()
        result = tracker.track(FRAME, timestamp_ms=0)
        assert (result.frame_id, result.origin) == (0, Origin.INITIALISED)
        assert tracker.stats.frames == 1

    def test_after_warmup_the_first_frame_is_measured(self, tracker):
        tracker.warmup()
        tracker.track(FRAME)
        assert tracker.stats.latency["total"].count == 1

    def test_without_warmup_the_first_frames_are_not(self, tracker):
        for stamp in range(5):
            tracker.track(FRAME, timestamp_ms=stamp)
        assert tracker.stats.latency["total"].count == 2

    def test_warmup_leaves_no_trace(self, tracker):
        tracker.track(FRAME, timestamp_ms=0)
        tracker.warmup()
        assert tracker.track(FRAME, timestamp_ms=40).origin is Origin.PROPAGATED
        assert tracker.stats.frames == 2

    def test_a_closed_tracker_refuses_and_closing_twice_is_fine(self, method):
        tracker = PoseTracker(fake_model(method))
        tracker.close()
        tracker.close()
        for call in (lambda: tracker.track(FRAME), tracker.warmup, tracker.reset):
            with pytest.raises(ClosedError):
                call()
        assert "closed" in repr(tracker)
        assert tracker.stats.frames == 0

    def test_a_shared_model_outlives_its_trackers(self, method):
        model = fake_model(method)
        with PoseTracker(model) as first:
            first.track(FRAME)
        with PoseTracker(model) as second:
            assert second.track(FRAME).keypoints is not None

    def test_a_model_closed_under_a_tracker_is_a_typed_error(self, method):
        model = fake_model(method)
        tracker = PoseTracker(model)
        model.close()
        with pytest.raises(ClosedError, match="The model 'fake' was closed"):
            tracker.track(FRAME)

    def test_streams_on_one_model_are_apart(self, method):
        model = fake_model(method)
        first, second = PoseTracker(model), PoseTracker(model)
        first.track(FRAME, timestamp_ms=1000)
        result = second.track(FRAME, timestamp_ms=0)
        assert (result.frame_id, result.origin) == (0, Origin.INITIALISED)

    def test_calls_from_many_threads_are_tracked_one_at_a_time(self, tracker):
        ids: list[int] = []
        threads = [
            threading.Thread(
                target=lambda: ids.extend(tracker.track(FRAME).frame_id for _ in range(20))
            )
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(ids) == list(range(80))


class TestOptions:
    def test_an_unknown_option_is_a_type_error(self, method):
        with pytest.raises(TypeError, match="unexpected keyword argument 'colour'"):
            PoseTracker(fake_model(method), colour="red")

    @pytest.mark.parametrize("option", [{"device": "cpu"}, {"num_threads": 1}, {"backend": "x"}])
    def test_engine_options_contradict_a_loaded_model(self, method, option):
        with pytest.raises(ConfigError, match=next(iter(option))):
            PoseTracker(fake_model(method), **option)

    @pytest.mark.parametrize(
        "option",
        [
            {"reinitialise_every": -1},
            {"reinitialise_every": 2.5},
            {"reinitialise_every": "5"},
            {"reinitialise_every": True},
            {"smoothing": "much"},
            {"policy": "newest"},
            {"deadline_ms": 0},
            {"deadline_ms": "50"},
            {"deadline_ms": float("nan")},
            {"deadline_ms": 10**400},
            {"on_result": "print"},
            {"on_event": 1},
        ],
    )
    def test_impossible_values_are_refused(self, method, option):
        with pytest.raises(ConfigError, match=next(iter(option))):
            PoseTracker(fake_model(method), **option)


class TestRealNetworks:
    def test_a_bundle_is_tracked_from_its_folder(self, puppet_bundle, puppet):
        with edgepose.PoseTracker(puppet_bundle.path, num_threads=1, smoothing=False) as tracker:
            for step in range(8):
                center = (120 + 6 * step, 120)
                result = tracker.track(puppet(center), timestamp_ms=40 * step)
        truth = standing_person(center, 160)
        np.testing.assert_allclose(result.keypoints[:, :2], truth[:, :2], atol=6)
        assert result.origin is Origin.PROPAGATED

    def test_an_empty_room_has_no_person(self, puppet_bundle):
        with PoseTracker(puppet_bundle.path) as tracker:
            assert tracker.track(np.full((240, 320, 3), 116, np.uint8)).keypoints is None

    def test_trackers_share_loaded_networks(self, puppet_bundle, puppet):
        with load(puppet_bundle.path) as model:
            assert isinstance(model, PoseModel)
            trackers = [PoseTracker(model) for _ in range(2)]
            poses = [tracker.track(puppet()).keypoints for tracker in trackers]
        np.testing.assert_array_equal(*poses)
