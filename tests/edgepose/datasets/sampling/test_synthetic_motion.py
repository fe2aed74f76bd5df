import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.datasets.sampling.synthetic_motion import chained, draw_motion, moved


@given(seed=st.integers(0, 1000), length=st.integers(1, 8))
def test_a_motion_begins_at_rest_and_goes_on_smoothly(seed, length):
    motion = draw_motion(np.random.default_rng(seed), length, np.array([50.0, 40.0]), 100)
    assert motion.shape == (length, 2, 3)
    assert motion[0] == pytest.approx(np.eye(2, 3))
    middles = motion @ [50.0, 40.0, 1.0]
    assert np.abs(np.diff(middles, axis=0)).max(initial=0) < 25


@given(seed=st.integers(0, 1000))
def test_keypoints_move_with_the_picture(seed):
    rng = np.random.default_rng(seed)
    motion = draw_motion(rng, 2, np.array([50.0, 40.0]), 100)[1]
    points = rng.uniform(0, 100, (13, 3)).astype(np.float32)
    expected = points[:, :2] @ motion[:, :2].T + motion[:, 2]
    assert moved(points, motion)[:, :2] == pytest.approx(expected, abs=1e-3)
    assert moved(points, motion)[:, 2] == pytest.approx(points[:, 2])


@given(seed=st.integers(0, 1000))
def test_a_chain_does_one_after_the_other(seed):
    first, second = np.random.default_rng(seed).normal(0, 1, (2, 2, 3))
    point = np.array([3.0, -2.0])
    between = first @ [*point, 1]
    assert chained(first, second) @ [*point, 1] == pytest.approx(second @ [*between, 1])
