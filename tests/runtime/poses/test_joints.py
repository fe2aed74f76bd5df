"""The kernels for joints say the same as NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.poses import joints as poses
from edgepose_runtime.poses import kernels
from edgepose_runtime.poses.smoothing import Memory, OneEuroFilter, OneEuroSettings, smooth_numpy

BAR = 0.7  # which no float32 is


def pose(seed, joints=13):
    """A pose (13, 3) some of whose joints are missing, below the bar, on it, or infinite."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(-50, 700, (joints, 3))
    drawn[:, 2] = rng.choice([0.1, BAR, 0.9], joints)
    drawn[rng.random(joints) < 0.15] = np.nan, np.nan, 0
    drawn[rng.random(joints) < 0.05, 0] = np.inf
    return drawn.astype(np.float32)


@given(st.integers(0, 10_000), st.integers(1, 13))
def test_surveys_agree(seed, joints):
    drawn = pose(seed, joints)
    expected = poses.survey_joints_numpy(drawn, BAR)
    assert kernels.survey_joints(drawn, BAR) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 10_000))
def test_middles_agree(seed):
    drawn = pose(seed)
    drawn[4] = 100, 200, 1  # one at least
    expected = poses.middle_joint_numpy(drawn, BAR)
    assert kernels.middle_joint(drawn, BAR) == pytest.approx(expected, rel=1e-6)


@given(st.integers(0, 10_000))
def test_extents_agree(seed):
    places = pose(seed)[:, :2].astype(np.float64)
    expected = poses.extent_inside_numpy(places, 640, 480)
    assert kernels.extent_inside(places, 640, 480) == expected


def test_the_extent_of_nothing_is_endless_the_wrong_way():
    nothing = np.full((3, 2), np.nan)
    expected = (np.inf, np.inf, -np.inf, -np.inf)
    assert kernels.extent_inside(nothing, 640, 480) == expected
    assert poses.extent_inside_numpy(nothing, 640, 480) == expected


@given(st.integers(0, 10_000))
def test_carried_joints_agree_over_time(seed):
    ours, theirs = ((np.full((13, 2), np.nan), np.full(13, -np.inf)) for _ in range(2))
    for frame in range(6):
        drawn = pose(seed + frame)
        kernels.update_remembered_joints(drawn, BAR, *ours, 100.0 * frame, 150.0)
        poses.update_remembered_joints_numpy(drawn, BAR, *theirs, 100.0 * frame, 150.0)
        for found, expected in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)


@given(st.integers(0, 10_000), st.sampled_from([0.0, 20.0]), st.sampled_from([0.3, 3.0, np.inf]))
def test_smoothed_joints_agree_over_time(seed, beta, jump_speed):
    settings = OneEuroSettings(beta=beta, max_gap_ms=150.0, jump_speed=jump_speed)
    smoother, memory = OneEuroFilter(settings), Memory.of(13)
    rng, timestamp = np.random.default_rng(seed), 0.0
    for frame in range(8):
        timestamp += rng.choice([16.0, 33.0, 140.0])
        places = pose(seed + frame)[:, :2]
        found = smoother.apply(places, timestamp, 200.0)
        expected = smooth_numpy(places, timestamp, 200.0, settings, memory)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
