import numpy as np
import pytest

from edgepose.training.key_targets import RecoveryError, best_keys, person_size, target_rates
from edgepose_runtime.interpolation import PoseInterpolator

FRAMES = 40


@pytest.fixture(scope="module")
def interpolator():
    return PoseInterpolator()


def reach(interpolator, bad=()):
    """A person who raises the arms in frames 11 to 13, seen wrongly in some frames."""
    truth = np.zeros((FRAMES, 13, 2))
    truth[..., 0] = 100 + 10 * np.arange(13)
    truth[..., 1] = 80 + 15 * np.arange(13)
    truth[:, :6, 1] += 60 * np.clip((np.arange(FRAMES) - 10) / 3, 0, 1)[:, None]
    poses = np.concatenate([truth, np.ones((FRAMES, 13, 1))], axis=-1)
    poses[list(bad), :, 0] += 40
    return RecoveryError(poses, truth, np.ones((FRAMES, 13), bool), interpolator)


def test_key_frames_go_where_the_person_moves(interpolator):
    error = reach(interpolator)
    even = [5, 15, 25, 35]
    keys = best_keys(error, FRAMES, 4)
    assert error(keys) < error(even)
    assert 5 < keys[0] <= 11 or 12 <= keys[1] < 15
    assert keys == sorted(set(keys))


def test_key_frames_avoid_what_the_network_sees_wrongly(interpolator):
    bad = {5, 15, 25, 35}
    assert not bad & set(best_keys(reach(interpolator, bad), FRAMES, 4))


def test_targets_have_a_mean_of_one_and_are_largest_at_the_key_frames():
    rates = target_rates([[3, 20], [3, 12, 20, 30]], FRAMES)
    assert rates.dtype == np.float32
    assert rates.mean() == pytest.approx(1, abs=1e-5)
    assert min(rates[3], rates[20]) > max(rates[12], rates[30]) > rates[36]


def test_the_size_of_a_person_leaves_out_frames_without_joints():
    truth = np.zeros((3, 2, 2))
    truth[:, 1] = (30, 50)
    visible = np.array([[True, True], [False, False], [True, True]])
    assert person_size(truth, visible) == 50
