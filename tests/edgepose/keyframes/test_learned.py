import json
from dataclasses import replace

import numpy as np
import pytest

from edgepose.keyframes.dynamics import Forecast
from edgepose.keyframes.learned import (
    FEATURES,
    WEIGHTS,
    LearnedError,
    features_of,
    load_learned_error,
    save_learned_error,
)
from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.poses.skeletons import PENN13
from tests.edgepose.keyframes.test_dynamics import POSE, segment_of

LIMBS = np.array(PENN13.limbs)


def features(segment, dynamics=None):
    forecast = Forecast(segment.joints if dynamics is None else dynamics, np.ones(len(POSE)))
    return features_of(segment, forecast, LIMBS)


def named(segment, dynamics=None):
    return dict(zip(FEATURES, features(segment, dynamics), strict=True))


def test_a_body_that_moves_as_a_whole_keeps_its_limbs():
    found = named(segment_of(3, (4.0, 3.0)))
    assert found["frames"] == 3
    assert found["moved, mean"] == pytest.approx(15 / 200)
    assert found["limb length change, largest"] == pytest.approx(0, abs=1e-6)
    assert found["distance from dynamics, mean"] == 0


def test_a_joint_that_is_left_behind_stretches_its_limb():
    ways = np.zeros((len(POSE), 2))
    ways[12, 1] = 30.0  # an ankle
    found = named(segment_of(1, ways))
    assert found["limb length change, largest"] == pytest.approx(30 / 200, rel=0.1)
    assert found["limb length change, mean"] == pytest.approx(30 / 200 / len(LIMBS), rel=0.1)


def test_the_distance_from_dynamics_is_in_sides_of_the_region():
    segment = segment_of(1)
    found = named(segment, segment.joints + np.array([8.0, 6.0]))
    assert found["distance from dynamics, mean"] == pytest.approx(10 / 200)


def test_joints_that_are_not_known_do_not_count():
    key = POSE.copy()
    key[5] = np.nan, np.nan, 0.0
    part = features(segment_of(2, key=key))
    assert np.isfinite(part).all()
    key[:, :2] = np.nan
    assert features(segment_of(2, key=key)) is None


def test_the_shipped_network_fears_more_where_joints_fly_apart():
    network = load_learned_error()
    ways = np.random.default_rng(0).normal(0, 4, (len(POSE), 2))
    calm, wild = (network.error(features(segment_of(5, way))) for way in (0.05 * ways, ways))
    assert calm < wild


def small(**changes):
    ones = np.ones(len(FEATURES))
    line = np.array([0.0, 1.0, 2.0])
    hidden = np.ones((1, len(FEATURES)))
    network = LearnedError(
        0 * ones, ones, hidden, np.zeros(1), np.ones(1), 0.5, line, np.array([0.0, 0.01, 0.04])
    )
    return replace(network, **changes)


def test_the_output_is_that_of_one_hidden_layer():
    values = np.zeros(len(FEATURES))
    values[0] = 0.25  # whose root is 0.5
    assert small().output(values) == pytest.approx(0.5 + np.tanh(0.5))


def test_what_was_never_seen_is_cut_off():
    values = np.zeros(len(FEATURES))
    values[0] = 1e9
    assert small().output(values) == pytest.approx(0.5 + np.tanh(3.0))


@pytest.mark.parametrize(("out", "error"), [(0.5, 0.005), (1.5, 0.025), (3.0, 0.07), (-9.0, 0.0)])
def test_errors_go_on_beyond_the_ends_of_the_line(out, error):
    network = small(out=np.zeros(1), out_bias=out)
    assert network.error(np.zeros(len(FEATURES))) == pytest.approx(error)


def test_a_network_that_is_written_is_read_again(tmp_path):
    path = tmp_path / "network.json"
    shipped = load_learned_error()
    save_learned_error(shipped, path)
    again = load_learned_error(path)
    for name in LearnedError.__slots__:
        np.testing.assert_array_equal(getattr(again, name), getattr(shipped, name))


@pytest.mark.parametrize("change", [{"version": 2}, {"features": ["frames"]}, {"network": {}}])
def test_a_damaged_file_is_named(tmp_path, change):
    path = tmp_path / "network.json"
    path.write_text(json.dumps({**json.loads(WEIGHTS.read_text()), **change}))
    with pytest.raises(BundleFormatError, match=r"network\.json"):
        load_learned_error(path)
