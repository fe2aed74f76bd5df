from __future__ import annotations

from math import floor

import pytest
import torch
from torch.nn import functional

from edgepose.models.ppn.deformable_convolution import deform_conv2d, sample_bilinear
from edgepose_runtime.errors import ConfigError


def value_at(plane, y, x):
    """Bilinear value of a plane, cells outside being zero."""
    total = 0.0
    for row in (floor(y), floor(y) + 1):
        for column in (floor(x), floor(x) + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                weight = (1 - abs(y - row)) * (1 - abs(x - column))
                total += weight * float(plane[row, column])
    return total


def naive(x, offsets, weight, dilation):
    """The definition, tap by tap."""
    outputs, channels, kernel, _ = weight.shape
    taps = kernel * kernel
    per_group = channels // (offsets.shape[1] // (2 * taps))
    out = torch.zeros(len(x), outputs, *x.shape[2:], dtype=x.dtype)
    for b, o, row, column, c, tap in torch.cartesian_prod(
        *map(torch.arange, (*out.shape, channels, taps))
    ).tolist():
        first = 2 * (c // per_group * taps + tap)
        dy, dx = offsets[b, first : first + 2, row, column].tolist()
        y = row + dilation * (tap // kernel - kernel // 2) + dy
        x_ = column + dilation * (tap % kernel - kernel // 2) + dx
        value = value_at(x[b, c], y, x_)
        out[b, o, row, column] += weight[o, c, tap // kernel, tap % kernel] * value
    return out


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("dilation", [1, 2])
def test_equals_the_definition(groups, dilation):
    torch.manual_seed(groups)
    x = torch.rand(2, 4, 4, 5, dtype=torch.float64)
    # Wide enough to leave the map on all sides.
    offsets = 3 * torch.randn(2, groups * 18, 4, 5, dtype=torch.float64)
    weight = torch.randn(3, 4, 3, 3, dtype=torch.float64)
    expected = naive(x, offsets, weight, dilation)
    torch.testing.assert_close(deform_conv2d(x, offsets, weight, dilation), expected)


@pytest.mark.parametrize("dilation", [1, 3])
def test_without_offsets_it_is_a_convolution(dilation):
    torch.manual_seed(0)
    x, weight = torch.rand(2, 3, 9, 7), torch.randn(5, 3, 3, 3)
    expected = functional.conv2d(x, weight, padding=dilation, dilation=dilation)
    zero = torch.zeros(2, 18, 9, 7)
    torch.testing.assert_close(deform_conv2d(x, zero, weight, dilation), expected)


def test_gradients_reach_maps_offsets_and_weights():
    torch.manual_seed(0)
    x = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    # Away from whole cells, where the slope jumps.
    offsets = (0.3 + 0.4 * torch.rand(1, 36, 3, 3, dtype=torch.float64)).requires_grad_()
    weight = torch.randn(2, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(deform_conv2d, (x, offsets, weight), fast_mode=True)


def test_sampling_at_whole_cells_moves_the_map_exactly():
    maps = torch.rand(2, 3, 8, 16)
    down, left = torch.full((2, 8, 16), 2.0), torch.full((2, 8, 16), -1.0)
    moved = sample_bilinear(maps, down, left)
    assert torch.equal(moved[:, :, :6, 1:], maps[:, :, 2:, :15])
    assert not moved[:, :, 6:].any()
    assert not moved[:, :, :, 0].any()


@pytest.mark.parametrize(("channels", "offset_channels"), [(4, 17), (4, 54), (4, 0)])
def test_offsets_that_do_not_fit_are_refused(channels, offset_channels):
    x = torch.zeros(1, channels, 3, 3)
    offsets = torch.zeros(1, offset_channels, 3, 3)
    with pytest.raises(ConfigError, match=f"{offset_channels} offset channels do not fit 9 taps"):
        deform_conv2d(x, offsets, torch.zeros(1, channels, 3, 3))
