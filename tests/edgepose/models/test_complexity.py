from __future__ import annotations

import pytest
import torch
from torch import nn

from edgepose.models import count_macs, count_parameters


def test_a_convolution_costs_weights_times_output_pixels():
    layer = nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2)
    assert count_macs(layer, torch.zeros(2, 4, 10, 10)) == 8 * 2 * 9 * 25 * 2


def test_a_transposed_convolution_is_counted_on_its_input_or_on_its_output():
    layer = nn.ConvTranspose2d(4, 8, 4, 2, 1)
    weights, image = 4 * 8 * 16, torch.zeros(1, 4, 5, 5)
    assert count_macs(layer, image) == weights * 25
    assert count_macs(layer, image, transposed="output") == weights * 100


def test_linear_layers_count_and_others_do_not():
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.BatchNorm1d(5))
    assert count_macs(network, torch.zeros(3, 3, 4)) == 3 * 60


def test_a_layer_used_twice_counts_twice():
    layer = nn.Conv2d(2, 2, 1)
    assert count_macs(nn.Sequential(layer, layer), torch.zeros(1, 2, 3, 3)) == 2 * 4 * 9


def test_counting_leaves_the_network_as_it_was():
    network = nn.Sequential(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    count_macs(network, torch.rand(2, 1, 3, 3))
    assert network.training
    assert not network[0]._forward_hooks
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_hooks_are_removed_when_the_network_fails():
    network = nn.Conv2d(2, 1, 1)
    with pytest.raises(RuntimeError):
        count_macs(network, torch.zeros(1, 3, 4, 4))
    assert not network._forward_hooks
    assert network.training


def test_parameters_are_counted():
    assert count_parameters(nn.Conv2d(2, 3, 1)) == 9
