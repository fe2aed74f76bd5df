import pytest
import torch
from torch import nn

from edgepose.training.ema import ExponentialMovingAverage


@pytest.fixture
def module():
    module = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    nn.init.zeros_(module[0].weight)
    return module


def set_weight(module, value):
    nn.init.constant_(module[0].weight, value)


def test_the_average_follows_with_a_growing_memory(module):
    average = ExponentialMovingAverage(module, 0.5)
    set_weight(module, 1.0)
    average.update(module)
    # The first decay is 2 / 11: hardly anything of the random start is kept.
    assert average.values["0.weight"].item() == pytest.approx(9 / 11)
    for _ in range(20):
        average.update(module)
    assert average.values["0.weight"].item() == pytest.approx(1.0, abs=1e-4)


def test_the_decay_has_its_upper_limit(module):
    average = ExponentialMovingAverage(module, 0.5)
    for _ in range(20):
        average.update(module)
    set_weight(module, 1.0)
    average.update(module)
    assert average.values["0.weight"].item() == pytest.approx(0.5)


def test_without_decay_it_is_the_module_itself(module):
    average = ExponentialMovingAverage(module, 0.0)
    set_weight(module, 3.0)
    average.update(module)
    assert average.values["0.weight"].item() == 3.0


def test_counters_are_copied(module):
    average = ExponentialMovingAverage(module, 0.9)
    module(torch.ones(4, 1))
    average.update(module)
    assert average.values["1.num_batches_tracked"].item() == 1


def test_it_can_be_applied_for_a_while(module):
    average = ExponentialMovingAverage(module, 0.5)
    set_weight(module, 1.0)
    module.train()
    with average.applied_to(module):
        assert module[0].weight.item() == 0.0
        assert not module.training
    assert module[0].weight.item() == 1.0
    assert module.training


def test_its_state_restores_it(module):
    first = ExponentialMovingAverage(module, 0.9)
    set_weight(module, 1.0)
    for _ in range(3):
        first.update(module)
    second = ExponentialMovingAverage(module, 0.9)
    second.load_state_dict(first.state_dict())
    set_weight(module, 2.0)
    first.update(module)
    second.update(module)
    assert torch.equal(first.values["0.weight"], second.values["0.weight"])
