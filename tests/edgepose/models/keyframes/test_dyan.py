import numpy as np
import pytest
import torch

from edgepose.models.keyframes.dyan import DYAN, build_atoms, first_poles, fista
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.interpolation.dictionary import pole_atoms
from edgepose_runtime.interpolation.hpim import fista_numpy


def test_atoms_are_those_of_the_runtime():
    radius, angle = first_poles(40)
    expected = pole_atoms(radius.numpy(), angle.numpy(), 40)
    np.testing.assert_allclose(
        build_atoms(radius.double(), angle.double(), 40), expected, atol=1e-9
    )


def test_codes_are_those_of_the_runtime():
    random = np.random.default_rng(0)
    atoms, values = random.normal(size=(20, 31)), random.normal(size=(20, 6))
    seen = random.random((20, 6)) < 0.8
    codes = fista(*map(torch.from_numpy, (atoms, values)), 0.1, 50, torch.from_numpy(seen).double())
    np.testing.assert_allclose(codes, fista_numpy(atoms, values, 0.1, 50, seen), atol=1e-9)


def test_first_poles_differ_and_lie_in_the_ring():
    radius, angle = first_poles(200, seed=3)
    assert len(set(zip(radius.tolist(), angle.tolist(), strict=True))) == 200
    assert radius.min() >= 0.85 and radius.max() <= 1.1501
    assert angle.min() > 0 and angle.max() < np.pi / 2


def test_training_expresses_movements_better():
    time = torch.arange(30.0)
    values = torch.stack([torch.sin(0.31 * time), torch.cos(0.17 * time)], 1)[None]
    model = DYAN(6, sparsity=0.05, iterations=30)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)

    def loss():
        return (model(values) - values).square().mean()

    before = float(loss().detach())
    for _ in range(60):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    assert float(loss().detach()) < 0.8 * before


def test_frames_that_are_missing_change_no_code():
    model = DYAN(5)
    values = torch.randn(2, 12, 4)
    mask = (torch.arange(12) < 8).float()[:, None]
    other = torch.where(mask > 0, values, 7.0)
    torch.testing.assert_close(model.encode(values, mask), model.encode(other, mask))


def test_codes_can_be_decoded_to_longer_sequences():
    model = DYAN(5)
    assert model.decode(model.encode(torch.randn(12, 3)), 20).shape == (20, 3)


def test_poles_are_handed_to_the_runtime():
    model = DYAN(5)
    np.testing.assert_allclose(
        model.to_dictionary().atoms(20), model.atoms(20).detach().numpy(), atol=1e-5
    )


@pytest.mark.parametrize("options", [{"poles": 0}, {"iterations": 0}, {"sparsity": -1.0}])
def test_options_out_of_range_are_refused(options):
    with pytest.raises(ConfigError):
        DYAN(**options)
