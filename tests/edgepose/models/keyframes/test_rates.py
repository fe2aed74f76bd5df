import numpy as np
import pytest
import torch

from edgepose.models.keyframes.kfpn import residual
from edgepose.models.keyframes.rates import KeyRateNetwork, key_times, residual_at
from edgepose.offline.selection import frames_by_rates

FRAMES = 40


@torch.no_grad()
def rates_of(model, channels):
    return model.eval()(torch.randn(FRAMES, channels, 6, 6)).numpy()


def test_what_has_learned_nothing_chooses_even_times():
    assert frames_by_rates(rates_of(KeyRateNetwork(), 64), 8) == list(range(2, 40, 5))


@pytest.mark.parametrize("count", [1, 2, 7, 40, 60])
def test_so_many_different_frames_are_chosen(count):
    torch.manual_seed(0)
    model = KeyRateNetwork(channels=8)
    torch.nn.init.normal_(model.rate.weight, std=3.0)
    chosen = frames_by_rates(rates_of(model, 8), count)
    assert len(chosen) == min(count, FRAMES)
    assert chosen == sorted(set(chosen))
    assert set(chosen) <= set(range(FRAMES))


def test_times_lie_in_the_middle_of_even_steps():
    torch.testing.assert_close(key_times(torch.ones(12), 3), torch.tensor([1.5, 5.5, 9.5]))
    rates = torch.tensor([1.0] * 8 + [4.0] * 8)
    assert int((key_times(rates, 10) > 7.5).sum()) == 8


def test_times_move_to_where_the_rate_rises():
    rates = torch.ones(10, requires_grad=True)
    key_times(rates, 1).sum().backward()
    assert rates.grad is not None
    assert float(rates.grad[0]) < 0 < float(rates.grad[-1])


def test_at_whole_times_the_rest_is_that_of_eq_16():
    torch.manual_seed(0)
    atoms = torch.randn(12, 30, dtype=torch.float64)
    values = torch.randn(12, 5, dtype=torch.float64)
    keys, chosen = [1, 4, 9], torch.zeros(12, dtype=torch.float64)
    chosen[keys] = 1
    values -= values[keys].mean(0)
    gram = atoms @ atoms.T
    found = residual_at(gram, torch.tensor(keys, dtype=torch.float64), values, 0.1)
    torch.testing.assert_close(found, residual(gram, chosen, values, 0.1))


def test_the_rest_changes_smoothly_with_the_times():
    times = torch.tensor([1.3, 6.6], dtype=torch.float64, requires_grad=True)
    distance = np.subtract.outer(np.arange(9.0), np.arange(9.0))
    gram = torch.from_numpy(np.exp(-0.05 * distance**2))
    values = torch.sin(torch.arange(9.0, dtype=torch.float64))[:, None]
    assert torch.autograd.gradcheck(lambda t: residual_at(gram, t, values, 0.1), times)
