import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.interpolation.dictionary import PoleDictionary
from edgepose_runtime.interpolation.interpolator import Interpolation, PoseInterpolator

TIME = np.arange(40)
WALK = np.stack(
    [
        100 + 3 * TIME[:, None] + 10 * np.arange(13),
        80 + 15 * np.sin(TIME / 7)[:, None] + np.arange(13) * 12,
    ],
    axis=-1,
)


@pytest.fixture(scope="module")
def interpolator():
    return PoseInterpolator()


def test_a_smooth_movement_is_recovered_from_a_few_keys(interpolator):
    keys = [0, 8, 16, 23, 31, 39]
    result = interpolator.interpolate(keys, WALK[keys], noise=0.0)
    assert np.abs(result.poses - WALK).mean() < 1
    np.testing.assert_allclose(result.poses[keys], WALK[keys], atol=0.1)
    assert result.uncertainty[keys].max() < result.uncertainty[[4, 12, 20]].min()


def test_all_frames_as_keys_come_back(interpolator):
    result = interpolator.interpolate(TIME, WALK, noise=0.0)
    np.testing.assert_allclose(result.poses, WALK, atol=0.1)


def test_one_key_gives_a_pose_that_stays_and_gets_less_sure(interpolator):
    result = interpolator.interpolate([20], WALK[20:21])
    np.testing.assert_allclose(result.poses, np.repeat(WALK[20:21], 40, axis=0), atol=0.5)
    assert (np.diff(result.uncertainty[20:30, 0]) > 0).all()


@pytest.mark.parametrize("keys", [[0, 1, 2], [37, 38, 39]])
def test_keys_at_one_end_leave_the_rest_finite_and_unsure(interpolator, keys):
    result = interpolator.interpolate(keys, WALK[keys])
    assert np.isfinite(result.poses).all()
    far = 39 if keys[0] == 0 else 0
    assert (result.uncertainty[far] > 2 * result.uncertainty[keys[1]]).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_joint_that_is_not_finite_counts_as_not_seen(interpolator, bad):
    keys = np.array([0, 10, 20, 30, 39])
    poses = np.concatenate([WALK[keys], np.ones((5, 13, 1))], axis=2)
    poses[2, 4, 0] = bad
    poses[3, 5, 2] = 0
    poses[:, 6] = bad
    result = interpolator.interpolate(keys, poses)
    assert np.abs(result.poses[:, 4:6] - WALK[:, 4:6]).max() < 15
    assert np.isnan(result.poses[:, 6]).all()
    assert np.isinf(result.uncertainty[:, 6]).all()
    assert np.isfinite(np.delete(result.poses, 6, axis=1)).all()


def test_no_joint_seen_anywhere_gives_no_pose(interpolator):
    result = interpolator.interpolate([3, 7], np.full((2, 13, 3), np.nan))
    assert np.isnan(result.poses).all()


def test_a_low_score_pulls_less(interpolator):
    keys = np.array([0, 10, 20, 30, 39])
    poses = np.concatenate([WALK[keys], np.ones((5, 13, 1))], axis=2)
    poses[2, :, 0] += 30
    sure = interpolator.interpolate(keys, poses).poses[20, :, 0]
    poses[2, :, 2] = 0.1
    unsure = interpolator.interpolate(keys, poses).poses[20, :, 0]
    truth = WALK[20, :, 0]
    assert np.abs(unsure - truth).max() < np.abs(sure - truth).min()


@given(
    st.floats(-1000, 1000),
    st.floats(-1000, 1000),
    st.floats(0.1, 10),
    st.sampled_from(["weighted", "least-squares"]),
)
def test_place_and_size_of_the_person_do_not_matter(x, y, size, method):
    interpolator = PoseInterpolator(method=method)
    keys = np.array([2, 9, 17, 30])
    plain = interpolator.interpolate(keys, WALK[keys]).poses
    moved = interpolator.interpolate(keys, WALK[keys] * size + (x, y)).poses
    np.testing.assert_allclose(moved, plain * size + (x, y), atol=0.05 * max(size, 1))


def test_short_sequences_take_a_part_of_the_window(interpolator):
    result = interpolator.interpolate([0, 5, 9], WALK[[0, 5, 9]], frames=10)
    assert result.poses.shape == (10, 13, 2)
    assert result.uncertainty.shape == (10, 13)
    one = interpolator.interpolate([0], WALK[:1], frames=1)
    np.testing.assert_allclose(one.poses, WALK[:1], atol=1e-3)


def test_longer_windows_are_possible():
    long = np.concatenate([WALK, WALK[::-1], WALK])
    keys = np.arange(0, 120, 6)
    result = PoseInterpolator(length=120).interpolate(keys, long[keys])
    assert np.abs(result.poses - long).mean() < 3


@pytest.mark.parametrize("joints", [1, 13, 15, 17, 33])
@pytest.mark.parametrize("method", ["weighted", "least-squares"])
def test_any_number_of_joints_is_possible(joints, method):
    keys = np.array([0, 10, 25, 39])
    poses = np.random.default_rng(0).uniform(0, 100, (4, joints, 2))
    result = PoseInterpolator(method=method).interpolate(keys, poses)
    assert result.poses.shape == (40, joints, 2)
    assert np.isfinite(result.poses).all()


@pytest.mark.parametrize("method", ["weighted", "least-squares"])
def test_a_singular_system_is_solved(method):
    # A pole that stands still tells no two frames apart.
    still = PoleDictionary([1.0], [0.0])
    result = PoseInterpolator(still, method=method).interpolate([0, 1, 2], WALK[:3], noise=0.0)
    assert np.isfinite(result.poses).all()


def test_buffers_are_written_into_and_reused(interpolator):
    buffers = Interpolation.empty(40, 13)
    keys = [0, 20, 39]
    result = interpolator.interpolate(keys, WALK[keys], out=buffers)
    assert result is buffers
    np.testing.assert_array_equal(buffers.poses, interpolator.interpolate(keys, WALK[keys]).poses)


def test_uncertainty_can_be_left_out(interpolator):
    keys = [0, 20, 39]
    with_it = interpolator.interpolate(keys, WALK[keys])
    without = interpolator.interpolate(keys, WALK[keys], uncertain=False)
    np.testing.assert_array_equal(with_it.poses, without.poses)
    assert np.isnan(without.uncertainty).all()


def test_a_prediction_goes_on_as_the_last_keys_did(interpolator):
    keys = np.arange(1000, 1020, 2)
    poses = WALK[np.arange(0, 20, 2)]
    result = interpolator.predict(keys, poses, ahead=3, noise=0.002)
    staying = np.abs(WALK[19:22] - poses[-1]).mean()
    assert np.abs(result.poses - WALK[19:22]).mean() < 0.7 * staying
    assert (np.diff(result.uncertainty[:, 0]) > 0).all()


def test_a_prediction_forgets_what_lies_too_far_back(interpolator):
    recent = interpolator.predict([100, 110], WALK[[0, 10]], ahead=2)
    older = interpolator.predict([3, 100, 110], WALK[[30, 0, 10]], ahead=2)
    np.testing.assert_array_equal(recent.poses, older.poses)


def test_one_pose_is_predicted_to_stay(interpolator):
    result = interpolator.predict([7], WALK[:1], ahead=39)
    np.testing.assert_allclose(result.poses, np.repeat(WALK[:1], 39, axis=0), atol=0.5)


POSES = WALK[[0, 5]]


@pytest.mark.parametrize(
    ("keys", "poses", "options", "message"),
    [
        ([], WALK[:0], {}, "one or more"),
        ([0.5, 2.0], POSES, {}, "whole numbers"),
        ([[0, 5]], POSES, {}, "one row"),
        ([5, 0], POSES, {}, "increase"),
        ([5, 5], POSES, {}, "increase"),
        ([-1, 5], POSES, {}, "from 0 to 39"),
        ([0, 40], POSES, {}, "from 0 to 39"),
        ([0, 9], POSES, {"frames": 9}, "from 0 to 8"),
        ([0, 5], POSES, {"frames": 41}, "40 frames"),
        ([0, 5], POSES, {"frames": 0}, "40 frames"),
        ([0, 5], WALK[:3], {}, "shape"),
        ([0, 5], POSES[..., :1], {}, "shape"),
        ([0, 5], POSES[0], {}, "shape"),
        ([0, 5], POSES, {"noise": -0.1}, "noise"),
        ([0, 5], POSES, {"noise": float("nan")}, "noise"),
        ([0, 5], POSES, {"scale": 0.0}, "size"),
        ([0, 5], POSES, {"out": Interpolation.empty(39, 13)}, "buffer"),
    ],
)
def test_what_cannot_be_interpolated_is_refused(interpolator, keys, poses, options, message):
    with pytest.raises(ConfigError, match=message):
        interpolator.interpolate(keys, poses, **options)


@pytest.mark.parametrize("ahead", [0, 40])
def test_no_further_than_the_window_is_predicted(interpolator, ahead):
    with pytest.raises(ConfigError, match="1 to 39"):
        interpolator.predict([0, 5], POSES, ahead=ahead)


@pytest.mark.parametrize(
    "options",
    [{"method": "magic"}, {"method": "fista"}, {"length": 0}],
)
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        PoseInterpolator(**options)


RISING = """
import numpy
from edgepose_runtime.interpolation.kernels.hpim import are_increasing
print(are_increasing(numpy.arange(3)))
"""


def test_two_processes_may_compile_at_once(tmp_path):
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-c", RISING]
    running = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip() for process in running] == ["True", "True"]
