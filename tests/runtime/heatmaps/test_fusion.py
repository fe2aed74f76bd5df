import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.heatmaps.decoding import decode_heatmaps
from edgepose_runtime.heatmaps.fusion import ExpectedJoints, fuse_heatmaps, fuse_heatmaps_numpy


def gaussian(x, y, deviation=2.0, height=1.0, shape=(24, 32)):
    rows, columns = (np.arange(side) for side in shape)
    squares = np.square(rows[:, None] - y) + np.square(columns - x)
    return (height * np.exp(-squares / (2 * deviation**2))).astype(np.float32)


def expected(cells, deviation=2.0, score=1.0):
    cells = np.array(cells, np.float64)
    count = len(cells)
    return ExpectedJoints(cells, np.full(count, deviation), np.full(count, score))


@given(
    seed=st.integers(0, 1000),
    share=st.floats(0, 1),
    reach=st.floats(0, 60),
    deviation=st.floats(0.5, 8),
)
def test_the_kernel_does_what_numpy_does(seed, share, reach, deviation):
    random = np.random.default_rng(seed)
    maps = random.uniform(-0.1, 1, (5, 24, 32)).astype(np.float32)
    places = random.uniform(-reach, 32 + reach, (5, 2))
    places[0] = np.nan
    offsets = random.uniform(-reach, reach, (5, 2))
    joints = ExpectedJoints(places, np.full(5, deviation), random.uniform(0, 1, 5))
    fused = fuse_heatmaps(maps, offsets, joints, share)
    np.testing.assert_allclose(
        fused, fuse_heatmaps_numpy(maps, offsets, joints, share), atol=2e-6, rtol=1e-5
    )


def test_heatmaps_are_shifted_by_the_offsets():
    maps = gaussian(10, 12)[None]
    fused = fuse_heatmaps(maps, np.array([[3.0, -2.0]]), expected([(0, 0)]), share=0.0)
    np.testing.assert_allclose(decode_heatmaps(fused)[0], (13, 10, 1), atol=1e-3)


def test_of_two_peaks_of_a_network_the_expected_one_wins():
    maps = np.maximum(gaussian(6, 6, height=0.8), gaussian(25, 18, height=0.7))[None]
    nothing = np.zeros((1, 2))
    fused = fuse_heatmaps(maps, nothing, expected([(24.0, 18.0)]), share=0.4)
    x, y, _ = decode_heatmaps(fused)[0]
    assert 24 < x < 25
    assert y == pytest.approx(18, abs=0.05)


def test_a_joint_that_is_expected_nowhere_keeps_its_heatmap():
    maps = gaussian(10, 12)[None]
    fused = fuse_heatmaps(maps, np.zeros((1, 2)), expected([(np.nan, np.nan)]), share=0.25)
    np.testing.assert_allclose(fused, 0.75 * maps, rtol=1e-6)


def test_the_score_is_the_mean_of_both_where_they_agree():
    maps = gaussian(10, 12, height=0.6)[None]
    fused = fuse_heatmaps(maps, np.zeros((1, 2)), expected([(10, 12)], score=0.9), share=0.5)
    assert decode_heatmaps(fused)[0, 2] == pytest.approx(0.75, abs=1e-3)
