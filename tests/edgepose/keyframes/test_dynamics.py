import numpy as np
import pytest

from edgepose.keyframes.dynamics import (
    AHEAD,
    DynamicsForecast,
    Forecast,
    combined,
    flow_forecast,
)
from edgepose.keyframes.segment import LARGEST_DOUBT, Segment
from edgepose.testing import standing_person
from edgepose_runtime.interpolation.interpolator import PoseInterpolator
from edgepose_runtime.poses.optical_flow import FlowStep

POSE = standing_person((100.0, 120.0), 160.0).astype(np.float32)


def step_by(segment, way, doubt=0.0):
    joints = segment.joints + way
    moved = np.hypot(*(joints - segment.joints).T) / segment.side
    return FlowStep(joints, moved, np.full(len(joints), doubt), (), joints)


def segment_of(frames, way=(2.0, 0.0), doubt=0.0, key=POSE):
    segment = Segment.after_key_frame(key, 200.0, 0.0)
    for _ in range(frames):
        segment = segment.extended(step_by(segment, np.array(way), doubt))
    return segment


class TestSegment:
    def test_sums_what_flow_says(self):
        segment = segment_of(3, (4.0, 3.0), doubt=0.01)
        assert segment.frames == 3
        np.testing.assert_allclose(segment.moved, 3 * 5.0 / 200)
        np.testing.assert_allclose(segment.squared, 3 * (5.0 / 200) ** 2)
        np.testing.assert_allclose(segment.doubts, 0.03)
        np.testing.assert_allclose(segment.joints, POSE[:, :2] + [12.0, 9.0])

    def test_a_lost_joint_counts_no_more_than_a_doubtful_one(self):
        np.testing.assert_allclose(segment_of(1, doubt=1.0).doubts, LARGEST_DOUBT)

    def test_extending_leaves_it_as_it_is(self):
        segment = segment_of(1)
        segment.extended(step_by(segment, np.array([9.0, 9.0])))
        assert segment.frames == 1
        np.testing.assert_allclose(segment.joints, POSE[:, :2] + [2.0, 0.0])


class TestDynamicsForecast:
    def walked(self):
        dynamics = DynamicsForecast()
        for frame in range(0, 25, 4):
            key = POSE.copy()
            key[:, 0] += 2.0 * frame
            dynamics.add(frame, key)
        return dynamics, key

    def test_a_movement_goes_on(self):
        dynamics, key = self.walked()
        joints = dynamics.after(segment_of(3, key=key)).joints
        ahead = (joints - key[:, :2])[:, 0]
        assert 0.5 * 6 < ahead.mean() < 1.5 * 6

    def test_it_is_what_hpim_predicts(self):
        dynamics, key = self.walked()
        frames = np.arange(0, 25, 4)
        poses = np.stack([POSE + np.array([2.0 * frame, 0, 0]) for frame in frames])
        expected = PoseInterpolator().predict(frames, poses, AHEAD)
        found = dynamics.after(segment_of(5, key=key))
        np.testing.assert_allclose(found.joints, expected.poses[4], rtol=1e-5)

    def test_it_gets_less_sure_with_every_frame(self):
        dynamics, key = self.walked()
        near, far = (dynamics.after(segment_of(n, key=key)).variance for n in (1, 10))
        assert (far > near).all()

    def test_long_after_the_key_frame_the_last_forecast_stays(self):
        dynamics, key = self.walked()
        last, later = (dynamics.after(segment_of(n, key=key)) for n in (AHEAD, AHEAD + 9))
        np.testing.assert_array_equal(last.joints, later.joints)

    def test_a_new_key_pose_changes_it(self):
        dynamics, key = self.walked()
        before = dynamics.after(segment_of(1, key=key)).joints
        dynamics.add(28, key + np.array([30.0, 0, 0], np.float32))
        assert (dynamics.after(segment_of(1, key=key)).joints[:, 0] > before[:, 0]).all()

    def test_one_key_pose_stays(self):
        dynamics = DynamicsForecast()
        dynamics.add(0, POSE)
        np.testing.assert_allclose(dynamics.after(segment_of(5)).joints, POSE[:, :2], atol=1e-3)


class TestCombined:
    def test_weights_by_inverse_variance(self):
        first = Forecast(np.zeros((1, 2)), np.array([1.0]))
        second = Forecast(np.full((1, 2), 4.0), np.array([3.0]))
        mean = combined(first, second)
        np.testing.assert_allclose(mean.joints, 1.0)
        np.testing.assert_allclose(mean.variance, 0.75)

    @pytest.mark.parametrize("turned", [False, True])
    def test_takes_what_is_known(self, turned):
        unknown = Forecast(np.full((1, 2), np.nan), np.array([np.nan]))
        known = Forecast(np.full((1, 2), 4.0), np.array([3.0]))
        mean = combined(known, unknown) if turned else combined(unknown, known)
        np.testing.assert_allclose(mean.joints, 4.0)
        np.testing.assert_allclose(mean.variance, 3.0)

    def test_nobody_knows(self):
        unknown = Forecast(np.full((1, 2), np.nan), np.array([np.nan]))
        assert not np.isfinite(combined(unknown, unknown).joints).any()


def test_flow_is_less_sure_of_fast_and_doubtful_joints():
    slow, fast, doubtful = (
        flow_forecast(segment_of(2, way, doubt)).variance[0]
        for way, doubt in (((1, 0), 0.0), ((20, 0), 0.0), ((1, 0), 0.03))
    )
    assert slow < fast
    assert slow < doubtful
