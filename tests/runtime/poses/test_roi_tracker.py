import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi, joints_roi
from edgepose_runtime.poses.roi_tracker import (
    RoiTracker,
    RoiTrackerSettings,
    is_empty_pose,
    is_person,
    person_roi,
    search_rois,
)

FRAME = (640, 480)
STEP_MS = 33.0


def standing(x=300.0, y=200.0, height=200.0, score=0.9):
    """A pose of 13 joints, as float32 (13, 3), in a box of which (x, y) is the middle."""
    across = np.array([0, -1, 1, -1, 1, -1, 1, -0.6, 0.6, -0.6, 0.6, -0.6, 0.6]) * height / 6
    down = np.array([0, 1.5, 1.5, 3, 3, 4.5, 4.5, 4.7, 4.7, 7, 7, 9, 9]) / 9 * height
    points = np.column_stack([x + across, y - height / 2 + down, np.full(13, score)])
    return points.astype(np.float32)


def hidden(pose, *joints, score=0.05):
    """The pose with joints that the network is not sure of, far from where they are."""
    changed = pose.copy()
    changed[list(joints)] = 5, 5, score
    return changed


class Track:
    """A tracker that is given a pose every 33 ms."""

    def __init__(self, **settings):
        self.tracker = RoiTracker(RoiTrackerSettings(**settings))
        self.time_ms = 0.0

    def see(self, pose, times=1):
        for _ in range(times):
            self.time_ms += STEP_MS
            found = self.tracker.update(pose, *FRAME, self.time_ms)
        return found

    @property
    def roi(self):
        return self.tracker.next_roi(*FRAME)


class TestIsPerson:
    def test_a_pose_with_good_scores_is_one(self):
        assert is_person(standing(), RoiTrackerSettings())

    def test_a_pose_with_low_scores_is_none(self):
        assert not is_person(standing(score=0.2), RoiTrackerSettings(score_threshold=0.3))

    def test_enough_joints_must_be_trusted(self):
        settings = RoiTrackerSettings(min_joints=0.3)
        assert is_person(hidden(standing(), *range(9)), settings)
        assert not is_person(hidden(standing(), *range(10)), settings)

    def test_a_point_is_no_person(self):
        assert not is_person(standing(height=5), RoiTrackerSettings(min_extent_px=8))

    def test_missing_joints_count_as_not_trusted(self):
        assert not is_person(
            np.tile(np.float32([np.nan, np.nan, 0]), (13, 1)), RoiTrackerSettings()
        )
        assert not is_person(np.full((13, 3), np.nan, np.float32), RoiTrackerSettings())

    def test_joints_in_one_spot_of_a_region_are_none_however_sure(self):
        spot = standing(height=20)
        assert is_person(spot, RoiTrackerSettings(), side=100)
        assert not is_person(spot, RoiTrackerSettings(), side=600)


class TestIsEmptyPose:
    def test_no_trusted_joint_tells_nothing(self):
        assert is_empty_pose(standing(score=0.2), RoiTrackerSettings(score_threshold=0.3))

    def test_all_joints_in_one_spot_tell_nothing(self):
        assert is_empty_pose(standing(height=5), RoiTrackerSettings(min_extent_px=8))
        assert is_empty_pose(standing(height=20), RoiTrackerSettings(), side=600)

    def test_a_person_or_a_single_joint_tells_something(self):
        assert not is_empty_pose(standing(), RoiTrackerSettings())
        assert not is_empty_pose(hidden(standing(), *range(1, 13)), RoiTrackerSettings())


class TestPersonRoi:
    def test_is_the_region_that_annotated_joints_would_have(self):
        pose = standing()
        assert person_roi(pose, *FRAME, 0.3) == joints_roi(pose[:, :2], FRAME)

    def test_leaves_out_joints_that_are_not_trusted(self):
        pose = hidden(standing(), 5, 6)
        expected = joints_roi(np.delete(pose, [5, 6], axis=0)[:, :2], FRAME)
        assert person_roi(pose, *FRAME, 0.3) == expected

    def test_is_none_where_nothing_is_trusted(self):
        assert person_roi(standing(score=0.1), *FRAME, 0.3) is None


class TestRoiTracker:
    def test_has_nobody_to_follow_at_first(self):
        tracker = RoiTracker()
        assert tracker.lost
        assert tracker.next_roi(*FRAME) is None

    def test_looks_where_the_person_was(self):
        track = Track()
        assert track.see(standing())
        assert not track.tracker.lost
        assert track.roi == person_roi(standing(), *FRAME, 0.3)

    def test_includes_joints_that_are_seen_doubtfully(self):
        track, face = Track(score_threshold=0.5, region_score=0.6), 0
        pose = standing(score=0.9)
        pose[face, 2] = 0.35
        track.see(pose)
        assert track.roi == person_roi(standing(), *FRAME, 0.3)

    def test_leaves_out_joints_that_are_hardly_seen(self):
        track = Track(score_threshold=0.5, region_score=0.6)
        track.see(hidden(standing(), 5, score=0.25))
        assert track.roi == person_roi(hidden(standing(), 5), *FRAME, 0.3)

    def test_needs_a_person_to_start(self):
        track = Track()
        assert not track.see(hidden(standing(), *range(11)))
        assert track.tracker.lost

    @given(st.lists(st.tuples(st.floats(-8, 8), st.floats(-8, 8)), min_size=1, max_size=30))
    def test_keeps_a_moving_person_inside(self, moves):
        track, x, y = Track(), 320.0, 240.0
        for dx, dy in moves:
            x, y = np.clip([x + dx, y + dy], 120, [520, 360])
            pose = standing(x, y)
            track.see(pose)
            relative = (pose[:, :2] - track.roi.center) / track.roi.width
            assert np.abs(relative).max() < 0.4

    def test_grows_at_once(self):
        track = Track()
        track.see(standing(height=150), times=5)
        track.see(standing(height=220))
        assert track.roi == person_roi(standing(height=220), *FRAME, 0.3)

    def test_shrinks_over_time(self):
        track = Track(shrink_ms=100)
        track.see(standing(height=220))
        large = track.roi.width
        small = person_roi(standing(height=150), *FRAME, 0.3).width
        track.see(standing(height=150))
        assert small < track.roi.width < large
        track.see(standing(height=150), times=30)
        assert track.roi.width == pytest.approx(small, rel=1e-3)

    @given(st.sampled_from([2, 4, 8]))
    def test_shrinking_does_not_depend_on_the_frame_rate(self, updates):
        widths = []
        for count in (1, updates):
            tracker = RoiTracker()
            tracker.update(standing(height=220), *FRAME, 0.0)
            for index in range(count):
                tracker.update(standing(height=150), *FRAME, 80.0 * (index + 1) / count)
            widths.append(tracker.next_roi(*FRAME).width)
        assert widths[0] == pytest.approx(widths[1])

    def test_a_joint_hidden_for_a_moment_does_not_change_the_region(self):
        track = Track(hold_ms=500)
        track.see(standing())
        before = track.roi
        track.see(hidden(standing(), 11, 12), times=10)
        assert track.roi == before

    def test_a_joint_hidden_for_a_moment_moves_along_with_the_others(self):
        track = Track()
        track.see(standing(300))
        for step in range(1, 6):
            track.see(hidden(standing(300 + 4 * step), 0, 11, 12))
        whole = person_roi(standing(320), *FRAME, 0.3)
        np.testing.assert_allclose(track.roi.as_tuple(), whole.as_tuple(), atol=1e-3)

    def test_one_mistaken_joint_does_not_take_hidden_ones_along(self):
        track = Track()
        track.see(standing(300))
        pose = hidden(standing(300), 11, 12)
        pose[5, :2] += 20
        track.see(pose)
        assert track.roi.y + track.roi.height > standing()[12, 1]
        assert track.roi.center[1] == pytest.approx(200, abs=1)

    def test_a_joint_hidden_for_long_is_left_out(self):
        track = Track(hold_ms=200)
        track.see(standing())
        track.see(hidden(standing(), 9, 10, 11, 12), times=60)
        upper = person_roi(standing()[:9], *FRAME, 0.3)
        np.testing.assert_allclose(track.roi.as_tuple(), upper.as_tuple(), rtol=1e-3)

    def test_keeps_its_size_where_few_joints_are_trusted(self):
        track = Track(patience=5)
        track.see(standing())
        width = track.roi.width
        assert not track.see(hidden(standing(), *range(11)), times=3)
        assert track.roi.width == pytest.approx(width)

    def test_is_patient_for_some_frames_then_lost(self):
        track = Track(patience=3)
        track.see(standing())
        track.see(hidden(standing(), *range(11)), times=3)
        assert not track.tracker.lost
        track.see(hidden(standing(), *range(11)))
        assert track.tracker.lost
        assert track.roi is None

    def test_patience_starts_again_with_each_good_pose(self):
        track = Track(patience=3)
        for _ in range(5):
            track.see(standing())
            track.see(hidden(standing(), *range(11)), times=3)
        assert not track.tracker.lost

    def test_is_lost_at_once_where_nothing_is_trusted(self):
        track = Track(patience=10)
        track.see(standing())
        assert not track.see(standing(score=0.1))
        assert track.tracker.lost

    def test_follows_afresh_whoever_is_found_after_a_loss(self):
        track = Track()
        track.see(standing(150, height=300))
        track.see(standing(score=0))
        track.see(standing(500, height=80))
        assert track.roi == person_roi(standing(500, height=80), *FRAME, 0.3)

    def test_follows_afresh_whoever_is_found_elsewhere(self):
        track = Track()
        track.see(standing(150, height=300))
        track.see(hidden(standing(500, height=80), 11, 12))
        assert track.roi == person_roi(standing(500, height=80)[:11], *FRAME, 0.3)

    def test_has_no_region_for_frames_of_another_size(self):
        track = Track()
        track.see(standing())
        assert track.tracker.next_roi(320, 240) is None

    def test_starts_afresh_with_a_pose_in_a_frame_of_another_size(self):
        track = Track()
        track.see(standing())
        small = standing(100, 100, 80)
        track.tracker.update(small, 320, 240, 1000)
        assert track.tracker.next_roi(320, 240) == person_roi(small, 320, 240, 0.3)

    def test_reset_forgets_the_person(self):
        track = Track()
        track.see(standing())
        track.tracker.reset()
        assert track.tracker.lost


def test_joints_in_one_spot_end_the_following_at_once():
    track = Track()
    track.see(standing())
    assert track.roi is not None
    assert not track.see(standing(height=6))
    assert track.roi is None


def test_joints_in_one_spot_of_the_region_that_shows_them_end_the_following():
    tracker = RoiTracker()
    tracker.update(standing(), *FRAME, 0.0)
    assert not tracker.update(standing(height=20), *FRAME, STEP_MS, side=600)
    assert tracker.lost


def test_a_small_person_seen_elsewhere_is_measured_by_the_region_that_shows_it():
    tracker = RoiTracker()
    tracker.update(standing(2000, 1500, height=2500), 4000, 3000, 0.0)
    assert tracker.update(standing(100, 100, 60), 320, 240, STEP_MS, side=90)
    assert tracker.next_roi(320, 240) is not None


class TestSearchRois:
    def test_begins_with_the_whole_frame(self):
        assert search_rois(1920, 1080)[0] == Roi(0, -420, 1920, 1920)

    @given(st.integers(1, 4000), st.integers(1, 4000))
    def test_every_region_overlaps_the_frame_and_is_square(self, width, height):
        for roi in search_rois(width, height):
            assert roi.validated(width, height)
            assert roi.width == roi.height

    @given(st.integers(300, 4000), st.integers(300, 4000), st.data())
    def test_a_person_of_a_quarter_of_the_frame_is_whole_in_a_tile(self, width, height, data):
        side = min(width, height) / 4
        x = data.draw(st.floats(0, width - side))
        y = data.draw(st.floats(0, height - side))
        tolerance = 1e-6
        assert any(
            roi.width <= min(width, height) / 2
            and roi.x - tolerance <= x
            and x + side <= roi.x + roi.width + tolerance
            and roi.y - tolerance <= y
            and y + side <= roi.y + roi.height + tolerance
            for roi in search_rois(width, height)
        )

    @pytest.mark.parametrize("size", [(1, 1), (60, 40), (64, 50)])
    def test_a_tiny_frame_is_searched_as_a_whole(self, size):
        assert len(search_rois(*size)) == 1

    def test_a_frame_like_a_ribbon_has_no_endless_list(self):
        assert len(search_rois(10_000, 1)) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"score_threshold": 1.1},
        {"min_joints": -0.1},
        {"min_joints": float("nan")},
        {"patience": -1},
        {"shrink_ms": float("inf")},
        {"hold_ms": float("nan")},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        RoiTrackerSettings(**wrong)
