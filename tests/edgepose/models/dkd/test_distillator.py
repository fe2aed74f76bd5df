from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from edgepose.models import count_macs
from edgepose.models.dkd.distillator import (
    ConvLstm,
    Distillator,
    PoseKernels,
    correlate,
    kernel_size,
)
from edgepose_runtime.errors import ConfigError


@pytest.fixture(autouse=True)
def same_draws():
    torch.manual_seed(0)


def by_loop(features, kernels):
    """Each output cell as the sum of 49 products."""
    size, radius = features.shape[-1], kernels.shape[-1] // 2
    padded = functional.pad(features, (radius,) * 4)
    out = torch.zeros_like(features)
    for b, c, y, x in torch.cartesian_prod(*(torch.arange(n) for n in features.shape)):
        assert x < size
        window = padded[b, c, y : y + 2 * radius + 1, x : x + 2 * radius + 1]
        out[b, c, y, x] = (window * kernels[b, c]).sum()
    return out


def test_every_channel_of_every_sample_is_filtered_by_its_own_kernel():
    features, kernels = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 7, 7)
    torch.testing.assert_close(correlate(features, kernels), by_loop(features, kernels))


def test_samples_of_a_batch_do_not_touch_each_other():
    features, kernels = torch.randn(3, 4, 8, 8), torch.randn(3, 4, 7, 7)
    before = correlate(features, kernels)
    features[1], kernels[1] = 5.0, -3.0
    after = correlate(features, kernels)
    assert torch.equal(before[[0, 2]], after[[0, 2]])
    assert not torch.allclose(before[1], after[1])
    alone = correlate(features[2:], kernels[2:])
    torch.testing.assert_close(alone, after[2:])


@pytest.mark.parametrize("joints", [13, 15, 16])
def test_shapes_of_the_paper(joints):
    with torch.device("meta"):
        features, heatmaps = torch.zeros(2, 256, 32, 32), torch.zeros(2, joints, 32, 32)
        memory = PoseKernels(joints, 256)
        kernels = memory.distil(features, heatmaps)
        assert kernels.shape == (2, 256, 7, 7)
        assert memory.respond(features, kernels).shape == (2, 256, 32, 32)
        assert memory.match(features, kernels).shape == (2, joints, 32, 32)


def test_the_distillator_costs_what_the_paper_says():
    """0.9013 GMAC, and 0.981 with V and the dynamic convolution; published is .99."""
    with torch.device("meta"):
        features, heatmaps = torch.zeros(1, 256, 32, 32), torch.zeros(1, 13, 32, 32)
        memory = PoseKernels(13, 256)
        distillator = count_macs(memory.distillator, features, heatmaps)
        mixing = count_macs(memory.v, features)
    dynamic = 49 * features.numel()
    assert distillator == pytest.approx(901.25e6, rel=1e-4)
    assert distillator + mixing + dynamic == pytest.approx(0.981e9, abs=1e6)


@pytest.mark.parametrize(("cells", "side"), [(16, 3), (24, 5), (32, 7), (40, 9)])
def test_kernels_of_other_grids(cells, side):
    assert kernel_size(cells) == side
    kernels = Distillator(2, 4, 4)(torch.zeros(1, 4, cells, cells), torch.zeros(1, 2, cells, cells))
    assert kernels.shape == (1, 4, side, side)


@pytest.mark.parametrize("cells", [4, 28])
def test_grids_that_give_no_odd_kernel_are_refused(cells):
    with pytest.raises(ConfigError, match="odd size"):
        kernel_size(cells)


def test_matching_finds_where_the_remembered_pattern_went():
    """With V and U of the identity, the response is highest where the pattern lies now."""
    memory = PoseKernels(1, 1)
    torch.nn.init.ones_(memory.v.weight)
    torch.nn.init.ones_(memory.u.weight)
    memory.eval()
    features, pattern = torch.zeros(1, 1, 32, 32), torch.rand(7, 7)
    features[0, 0, 20:27, 8:15] = pattern
    heatmaps = memory.match(features, pattern[None, None])
    assert divmod(int(heatmaps.argmax()), 32) == (23, 11)


def test_pooled_kernels_are_matched_with_means_and_what_they_find_is_enlarged():
    plain, halved = PoseKernels(2, 4), PoseKernels(2, 4, pooling=2)
    halved.load_state_dict(plain.state_dict())
    plain, halved = plain.eval(), halved.eval()
    features, maps = torch.rand(1, 4, 64, 64), torch.rand(1, 2, 64, 64)
    small = [functional.avg_pool2d(given, 2) for given in (features, maps)]
    kernels = halved.distil(halved.project(features), maps)
    torch.testing.assert_close(kernels, plain.distil(*small))
    found = halved.match(halved.project(features), kernels)
    wanted = functional.interpolate(plain.match(small[0], kernels), (64, 64), mode="bilinear")
    torch.testing.assert_close(found, wanted)


def test_a_narrow_distillator_sees_the_features_that_are_matched():
    memory = PoseKernels(2, 8, 4, narrow=True).eval()
    features, maps = torch.rand(1, 8, 32, 32), torch.rand(1, 2, 32, 32)
    seen = memory.project(features)
    torch.testing.assert_close(seen, memory.v(features))
    kernels = memory.distil(seen, maps)
    assert kernels.shape == (1, 4, 7, 7)
    torch.testing.assert_close(memory.respond(seen, kernels), correlate(seen, kernels))


def test_the_lstm_carries_more_than_one_frame():
    lstm = ConvLstm(2, 4)
    first, second = torch.rand(2, 1, 4, 8, 8)
    maps = torch.rand(1, 2, 8, 8)
    state = lstm.distil(second, maps, lstm.distil(first, maps))
    assert state.shape == (1, 8, 8, 8)
    assert not torch.allclose(state, lstm.distil(second, maps))
    assert lstm.match(second, state).shape == (1, 2, 8, 8)


def test_an_lstm_may_be_narrower_and_coarser_than_the_features():
    lstm = ConvLstm(2, 6, channels=4, pooling=2)
    features, maps = torch.rand(1, 6, 8, 8), torch.rand(1, 2, 8, 8)
    seen = lstm.project(features)
    state = lstm.distil(seen, maps)
    assert state.shape == (1, 8, 4, 4)
    assert lstm.match(seen, state).shape == (1, 2, 8, 8)
