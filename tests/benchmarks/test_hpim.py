"""The ways to interpolate that are compared with ours."""

import numpy as np
import pytest
from scipy.io import savemat

from benchmarks.hpim import smoothers
from benchmarks.hpim.candidates import candidates
from benchmarks.hpim.smoothers import (
    kalman_smoother,
    kalman_smoother_estimated,
    smoothing_spline,
)
from edgepose_runtime.interpolation.dictionary import load_dictionary, pole_atoms

KEYS = np.array([[0, 8, 17, 25, 32, 39], [1, 6, 14, 22, 30, 38]])
PATHS = 0.5 + 0.2 * np.sin(np.arange(40)[:, None, None] / 9 + np.arange(4).reshape(2, 2))
POSES = PATHS[KEYS]


@pytest.fixture
def ways(tmp_path):
    """All of them by name, with a dictionary of oscillations in place of a published one."""
    atoms = pole_atoms(np.full(20, 1.0), np.linspace(0.02, 1.5, 20), 40)
    savemat(tmp_path / "jhmdb_T40_N161.mat", {"Dictionary": atoms})
    found = candidates(load_dictionary(), tmp_path)
    return {each.name: each.interpolate for each in found}


def test_every_way_gives_poses_near_a_smooth_path(ways):
    assert {"Eq. 17, JHMDB", "FISTA, JHMDB", "untrained poles, ridge"} <= set(ways)
    for name, interpolate in ways.items():
        found = interpolate(KEYS, POSES, 0.0)
        assert found.shape == (2, *PATHS.shape), name
        assert np.abs(found[0] - PATHS)[KEYS[0]].max() < 0.1, name


def test_a_joint_that_is_missing_in_a_key_pose_is_told_by_the_others(ways):
    missing = POSES.copy()
    missing[0, 2, 1] = np.nan
    for name in ("FISTA, JHMDB", "untrained poles, ridge"):
        found = ways[name](KEYS, missing, 0.0)
        assert np.isfinite(found).all(), name
        np.testing.assert_allclose(found[0, :, 0], ways[name](KEYS, POSES, 0.0)[0, :, 0], atol=1e-6)


@pytest.mark.parametrize("smooth", [kalman_smoother, kalman_smoother_estimated, smoothing_spline])
def test_a_smoother_of_noisy_keys_is_nearer_than_the_keys_are(smooth):
    random, keys = np.random.default_rng(0), np.arange(0, 40, 2)
    path = 0.5 + 0.2 * np.sin(np.arange(40)[:, None] / 9 + np.arange(20))
    noisy = path[keys] + 0.04 * random.standard_normal((len(keys), 20))
    smoothed = smooth(keys, noisy, 0.04)
    assert smoothed.shape == path.shape
    assert np.abs(smoothed - path).mean() < 0.7 * np.abs(noisy - path[keys]).mean()


@pytest.mark.parametrize("smooth", [kalman_smoother, smoothing_spline])
def test_a_smoother_goes_through_keys_without_noise(smooth):
    keys, path = np.arange(0, 40, 3), np.sin(np.arange(40) / 9)[:, None] * np.ones(2)
    np.testing.assert_allclose(smooth(keys, path[keys], 0.0), path, atol=1e-2)


def test_the_smoother_is_that_of_a_kalman_filter_and_its_backward_pass(monkeypatch):
    keys, noise, variance = np.array([0, 3, 4, 9, 20, 33]), 0.05, 1e-5
    values = np.random.default_rng(1).normal(size=(6, 2))
    monkeypatch.setattr(smoothers, "ACCELERATIONS", np.array([variance]))
    found = kalman_smoother(keys, values, noise)
    expected = filtered_and_smoothed(keys, values - values.mean(axis=0), noise, variance)
    np.testing.assert_allclose(found, expected + values.mean(axis=0), atol=1e-5)


def filtered_and_smoothed(keys, values, noise, variance):
    """A Kalman filter of place and speed over 40 frames, and the Rauch-Tung-Striebel pass."""
    step = np.array([[1.0, 1.0], [0.0, 1.0]])
    drift = variance * np.array([[1 / 3, 1 / 2], [1 / 2, 1.0]])
    mean, spread = np.zeros((2, values.shape[1])), np.diag([smoothers.PLACE, smoothers.SPEED])
    seen, before, after = dict(zip(keys.tolist(), values, strict=True)), [], []
    for frame in range(40):
        if frame:
            mean, spread = step @ mean, step @ spread @ step.T + drift
        before.append((mean, spread))
        if frame in seen:
            gain = spread[:, :1] / (spread[0, 0] + noise**2)
            mean, spread = mean + gain * (seen[frame] - mean[0]), spread - gain * spread[:1]
        after.append((mean, spread))
    smooth = [after[-1][0]]
    for (mean, spread), (ahead, wide) in zip(after[-2::-1], before[:0:-1], strict=True):
        gain = spread @ step.T @ np.linalg.inv(wide)
        smooth.append(mean + gain @ (smooth[-1] - ahead))
    return np.stack([each[0] for each in smooth[::-1]])
