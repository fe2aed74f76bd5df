import math

import pytest

from edgepose.keyframes import KeyFrames, key_frame_settings
from edgepose_runtime.errors import ConfigError


@pytest.mark.parametrize("rate", [0, -0.1, 1.01, math.nan, "0.3", True])
def test_refuses_a_rate_that_is_no_part(rate):
    with pytest.raises(ConfigError, match="max_key_rate"):
        KeyFrames(max_key_rate=rate)


@pytest.mark.parametrize("tolerance", [-0.1, math.inf, math.nan, 10**400, "0.01"])
def test_refuses_a_tolerance_that_is_no_error(tolerance):
    with pytest.raises(ConfigError, match="tolerance"):
        KeyFrames(tolerance=tolerance)


@pytest.mark.parametrize("lag", [-1, 39, 2.0, True])
def test_refuses_a_lag_that_is_no_number_of_frames(lag):
    with pytest.raises(ConfigError, match="lag_frames"):
        KeyFrames(lag_frames=lag)


def test_takes_settings_auto_and_nothing():
    settings = KeyFrames(max_key_rate=0.1)
    assert key_frame_settings(settings) is settings
    assert key_frame_settings("auto") == KeyFrames()
    assert key_frame_settings(None) is None


@pytest.mark.parametrize("value", ["often", 0.3, True])
def test_refuses_anything_else(value):
    with pytest.raises(ConfigError, match="key_frames"):
        key_frame_settings(value)


@pytest.mark.parametrize("name", ["motion", "decision", "network"])
@pytest.mark.parametrize("value", ["spline", None, 3, ["flow"]])
def test_refuses_a_motion_or_decision_that_is_not_known(name, value):
    with pytest.raises(ConfigError, match=f"{name} of key frames is one of"):
        KeyFrames(**{name: value})


def test_a_strong_head_needs_fewer_key_frames_unless_a_part_is_given():
    assert KeyFrames(network="head").budget < KeyFrames(network="light").budget
    assert KeyFrames(network="head", max_key_rate=0.3).budget == 0.3
    assert KeyFrames(network="head", tolerance=0.005).budget == KeyFrames(network="light").budget


def test_a_tolerance_follows_from_the_budget_unless_it_is_given():
    assert KeyFrames(max_key_rate=0.1).largest_error > KeyFrames(max_key_rate=0.3).largest_error
    assert KeyFrames(network="head", tolerance=0.005).largest_error == 0.005
