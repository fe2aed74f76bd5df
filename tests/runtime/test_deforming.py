from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose_runtime.deforming import deform_heatmaps, deform_heatmaps_numpy
from edgepose_runtime.errors import ConfigError


def case(seed, joints=4, outputs=4, groups=4, size=(9, 7), kernel=(3, 3), reach=3.0):
    """Random maps, offsets and weights."""
    rng = np.random.default_rng(seed)
    taps = kernel[0] * kernel[1]
    return (
        rng.random((joints, *size), np.float32),
        (reach * rng.standard_normal((groups * taps * 2, *size))).astype(np.float32),
        rng.standard_normal((outputs, joints, *kernel)).astype(np.float32),
    )


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 1000),
    groups=st.sampled_from([1, 2, 4]),
    outputs=st.integers(1, 5),
    kernel=st.sampled_from([(1, 1), (3, 3), (3, 1)]),
    dilation=st.integers(1, 12),
    reach=st.sampled_from([0.0, 0.3, 4.0, 100.0]),
)
def test_agrees_with_numpy(seed, groups, outputs, kernel, dilation, reach):
    arrays = case(seed, outputs=outputs, groups=groups, kernel=kernel, reach=reach)
    found = deform_heatmaps(*arrays, dilation)
    np.testing.assert_allclose(found, deform_heatmaps_numpy(*arrays, dilation), atol=1e-4)


@pytest.mark.parametrize("dilation", [1, 3, 24])
@pytest.mark.parametrize("groups", [1, 13])
def test_agrees_with_torch(groups, dilation):
    torch = pytest.importorskip("torch")
    from edgepose.models.ppn.deformable_convolution import deform_conv2d

    arrays = case(3, joints=13, outputs=13, groups=groups, size=(32, 32), reach=5.0)
    maps, offsets, weight = map(torch.from_numpy, arrays)
    expected = deform_conv2d(maps[None], offsets[None], weight, dilation)[0].numpy()
    np.testing.assert_allclose(deform_heatmaps(*arrays, dilation), expected, atol=1e-4)


def test_without_offsets_it_is_a_convolution_with_a_border_of_zeros():
    maps, offsets, _ = case(0, joints=1, groups=1, reach=0.0)
    weight = np.zeros((1, 1, 3, 3), np.float32)
    weight[0, 0, 0, 2] = 2.0  # up and to the right
    expected = np.zeros_like(maps)
    expected[:, 2:, :-2] = 2 * maps[:, :-2, 2:]
    np.testing.assert_array_equal(deform_heatmaps(maps, offsets, weight, 2), expected)


@pytest.mark.parametrize("step", [-1.0, -0.5, 0.0, 0.5, 1.0])
def test_samples_half_outside_count_half(step):
    maps = np.ones((1, 4, 4), np.float32)
    offsets = np.zeros((2, 4, 4), np.float32)
    offsets[0] = step
    found = deform_heatmaps(maps, offsets, np.ones((1, 1, 1, 1), np.float32))
    border = found[0, 0 if step < 0 else -1]
    np.testing.assert_allclose(border, 1 - abs(step))


def test_empty_maps_give_nothing():
    _, offsets, weight = case(1)
    assert not deform_heatmaps(np.zeros((4, 9, 7), np.float32), offsets, weight).any()


def test_a_single_cell_is_found_from_wherever_it_is_looked_for():
    maps = np.zeros((1, 5, 5), np.float32)
    maps[0, 4, 0] = 1.0
    y, x = np.mgrid[:5, :5]
    offsets = np.stack([4 - y, -x]).astype(np.float32)
    found = deform_heatmaps(maps, offsets, np.ones((1, 1, 1, 1), np.float32))
    np.testing.assert_array_equal(found, 1)


def test_adds_to_a_buffer():
    arrays = case(2)
    buffer = np.ones((4, 9, 7), np.float32)
    assert deform_heatmaps(*arrays, out=buffer) is buffer
    np.testing.assert_allclose(buffer, 1 + deform_heatmaps(*arrays), atol=1e-6)


@pytest.mark.parametrize("out", [np.zeros((4, 9, 6), np.float32), np.zeros((4, 9, 7))])
def test_a_buffer_that_does_not_fit_is_refused(out):
    with pytest.raises(ConfigError, match=r"float32 array of shape \(4, 9, 7\)"):
        deform_heatmaps(*case(2), out=out)


def test_shapes_that_do_not_fit_are_refused():
    maps, offsets, weight = case(0)
    with pytest.raises(ConfigError, match="are convolved with weights"):
        deform_heatmaps(maps[:3], offsets, weight)
    with pytest.raises(ConfigError, match="give 18 per group"):
        deform_heatmaps(maps, offsets[:17], weight)
    with pytest.raises(ConfigError, match="divides the maps"):
        deform_heatmaps(maps, offsets[: 3 * 18], weight)
