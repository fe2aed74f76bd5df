import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose_runtime.errors import ConfigError, TimestampError
from edgepose_runtime.poses.smoothing import OneEuroFilter, OneEuroSettings

SCALE = 200.0


def run(points, interval_ms=33.0, scale=SCALE, settings=None):
    """Smooth a sequence (T, K, 2) and return it."""
    smoother = OneEuroFilter(settings)
    return np.stack(
        [smoother.apply(pose, index * interval_ms, scale) for index, pose in enumerate(points)]
    )


def ramp(frames, interval_ms, pixels_per_second):
    seconds = np.arange(frames) * interval_ms / 1000
    return np.repeat((pixels_per_second * seconds)[:, None, None], 2, axis=2)


@given(st.floats(-1e4, 1e4), st.floats(1, 500), st.floats(1, 5000))
def test_constant_input_stays(value, interval_ms, scale):
    points = np.full((20, 3, 2), value, np.float32)
    np.testing.assert_allclose(run(points, interval_ms, scale), points, rtol=1e-6)


def test_the_first_points_come_out_as_they_are():
    points = np.random.default_rng(0).normal(size=(1, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(run(points), points)


def test_jitter_gets_smaller():
    points = np.random.default_rng(0).normal(100, 1, (200, 4, 2))
    assert run(points)[20:].std() < 0.6 * points[20:].std()


@settings(max_examples=20)
@given(st.floats(50, 2000), st.sampled_from([8.0, 16.0, 40.0]))
def test_lag_does_not_depend_on_the_frame_rate(speed, interval_ms):
    frames = round(3000 / interval_ms)
    points = ramp(frames, interval_ms, speed)
    lag_ms = 1000 * (points - run(points, interval_ms))[-1] / speed
    reference = ramp(round(3000 / 25), 25.0, speed)
    reference_ms = 1000 * (reference - run(reference, 25.0))[-1] / speed
    np.testing.assert_allclose(lag_ms, reference_ms, rtol=0.02, atol=0.05)


def test_fast_movement_lags_less_than_slow_movement():
    slow, fast = (ramp(100, 33.0, speed) for speed in (20, 1000))
    slow_lag = (slow - run(slow))[-1] / 20
    fast_lag = (fast - run(fast))[-1] / 1000
    assert (fast_lag < slow_lag / 3).all()


@given(st.floats(0.05, 20))
def test_a_person_twice_as_large_is_smoothed_alike(zoom):
    points = np.cumsum(np.random.default_rng(0).normal(size=(30, 3, 2)), axis=0)
    zoomed = run(zoom * points, scale=zoom * SCALE)
    np.testing.assert_allclose(zoomed, zoom * run(points), rtol=1e-4, atol=1e-4 * zoom)


def test_a_jump_is_followed_at_a_limited_pace_and_reached_in_the_end():
    still = np.full((5, 1, 2), 100.0)
    jumped = still.repeat(3, axis=0)
    jumped[5:, :, 0] += 150
    limited = run(jumped, settings=OneEuroSettings(jump_speed=1.0))
    free = run(jumped, settings=OneEuroSettings(jump_speed=math.inf))
    first = np.hypot(*(limited[5] - limited[4])[0])
    assert 0 < first < 0.6 * np.hypot(*(free[5] - free[4])[0])
    np.testing.assert_allclose(limited[-1], jumped[-1], atol=15)


def test_a_mistake_of_one_frame_shows_less_than_without_a_limit():
    mistaken = np.full((12, 1, 2), 100.0)
    mistaken[6] += 100
    seen = [
        np.abs(run(mistaken, settings=OneEuroSettings(jump_speed=speed)) - 100).max()
        for speed in (1.5, math.inf)
    ]
    assert seen[0] < 0.6 * seen[1]


@given(st.floats(0.1, 5), st.sampled_from([8.0, 16.0, 40.0]))
def test_the_limit_on_jumps_spares_steady_movement(sides_per_second, interval_ms):
    points = ramp(round(3000 / interval_ms), interval_ms, sides_per_second * SCALE)
    limited, free = (
        run(points, interval_ms, settings=OneEuroSettings(jump_speed=speed))[-1]
        for speed in (0.5, math.inf)
    )
    np.testing.assert_allclose(limited, free, rtol=1e-3)


def test_a_missing_joint_is_missing_and_leaves_the_others_alone():
    points = np.cumsum(np.random.default_rng(0).normal(size=(30, 3, 2)), axis=0)
    gap = points.copy()
    gap[10:15, 1, 0] = np.nan
    smoothed, whole = run(gap), run(points)
    assert np.isnan(smoothed[10:15, 1]).all()
    np.testing.assert_array_equal(smoothed[:, [0, 2]], whole[:, [0, 2]])
    assert np.isfinite(np.delete(smoothed, np.s_[10:15], axis=0)).all()


def test_a_joint_seen_again_soon_goes_on_from_where_it_was():
    points = np.full((10, 1, 2), 100.0)
    points[3:5] = np.nan
    points[5] = 104
    assert (run(points)[5] < 104).all()


def test_a_joint_seen_again_late_starts_afresh():
    smoother = OneEuroFilter(OneEuroSettings(max_gap_ms=500))
    smoother.apply([[100, 100]], 0, SCALE)
    np.testing.assert_array_equal(smoother.apply([[150, 90]], 501, SCALE), [[150, 90]])


def test_reset_forgets_points_and_time():
    smoother = OneEuroFilter()
    smoother.apply([[100, 100]], 1000, SCALE)
    smoother.reset()
    np.testing.assert_array_equal(smoother.apply([[150, 90]], 0, SCALE), [[150, 90]])


@pytest.mark.parametrize("timestamp_ms", [1000, 999, float("nan")])
def test_time_must_run_forward(timestamp_ms):
    smoother = OneEuroFilter()
    smoother.apply([[100, 100]], 1000, SCALE)
    with pytest.raises(TimestampError, match=r"does not come after the last one, 1000 ms"):
        smoother.apply([[100, 100]], timestamp_ms, SCALE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"min_cutoff_hz": 0},
        {"beta": -1},
        {"derivative_cutoff_hz": float("nan")},
        {"max_gap_ms": float("inf")},
        {"jump_speed": 0},
        {"jump_speed": float("nan")},
        {"beta": "a"},
        {"beta": True},
    ],
)
def test_settings_out_of_range_are_refused_by_name(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        OneEuroSettings(**wrong)


def test_times_that_hardly_differ_give_finite_joints():
    """Divided by 1000, the smallest number above 0 is 0."""
    smoother = OneEuroFilter()
    for x, stamp in enumerate([0.0, 5e-324, 1e-320, 1e-300, 1e-9, 40.0]):
        smoothed = smoother.apply([[100.0 + x, 50.0]], stamp, 100.0)
        assert np.isfinite(smoothed).all()
        assert 100 <= smoothed[0, 0] <= 100 + x
