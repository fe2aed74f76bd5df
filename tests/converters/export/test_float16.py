import pytest
import torch
from torch import nn

from edgepose_converters.export.float16 import round_weights
from edgepose_runtime.errors import CheckpointError


def test_rounded_weights_fit_float16_and_biases_stay(network):
    nn.init.constant_(network.final.bias, 0.1)
    rounded = round_weights(network)
    weight = rounded.final.weight
    torch.testing.assert_close(weight.half().float(), weight, rtol=0, atol=0)
    assert not torch.equal(weight, network.final.weight)
    assert rounded.final.bias[0].item() == pytest.approx(0.1, abs=1e-8)


def test_weights_beyond_float16_are_refused(network):
    network.final.weight.data[0, 0] = 1e6
    with pytest.raises(CheckpointError, match=r"'final\.weight' holds values that float16 cannot"):
        round_weights(network)
