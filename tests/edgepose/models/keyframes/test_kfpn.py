from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose.models.keyframes.dyan import build_atoms
from edgepose.models.keyframes.kfpn import (
    KFPN,
    KfpnConfig,
    alpha_of_epoch,
    key_frames,
    residual,
    selector_of,
)
from edgepose_runtime.errors import ConfigError

SMALL = KfpnConfig(
    channels=4,
    poles=8,
    recovery=1.0,
    sparsity=1.0,
    fixed_scale=True,
    alpha=1.0,
    threshold=0.5,
)


@pytest.mark.parametrize(("stride", "side"), [(1, 3), (2, 2)])
def test_the_published_form_has_the_published_shapes(stride, side):
    model = KFPN(KfpnConfig(channels=512, stride=stride)).eval()
    selection, embedded = model(torch.zeros(40, 512, 7, 7))
    assert selection.shape == (40,)
    assert embedded.shape == (40, 576)
    assert model.scores.in_features == 64 * 10 * side * side
    assert [m.out_channels for m in model.modules() if isinstance(m, torch.nn.Conv2d)] == [
        *(256, 128, 64),
        *(25, 10),
    ]


def test_with_a_fixed_scale_shrinking_the_features_gains_nothing():
    model, selection, embedded = KFPN(SMALL), torch.rand(40), torch.rand(40, 36)
    loss = model.loss(selection, embedded)
    torch.testing.assert_close(model.loss(selection, 0.1 * embedded + 3), loss)
    moving = embedded.clone().requires_grad_()
    assert not model.loss(selection, moving).isnan()
    assert torch.autograd.grad(model.loss(selection, moving), moving, allow_unused=True) == (None,)


def test_without_it_the_loss_falls_with_their_size():
    model = KFPN(replace(SMALL, fixed_scale=False, sparsity=0.0))
    selection, embedded = torch.rand(40), torch.rand(40, 36)
    torch.testing.assert_close(
        model.loss(selection, 0.1 * embedded), 0.1 * model.loss(selection, embedded)
    )


@pytest.mark.parametrize("power", [1, 2])
def test_the_loss_is_what_key_frames_leave_unexplained_plus_how_many_there_are(power):
    """Eq. 16 computed by hand: recovery * ||(I + D D' S / rho)^-1 Y||^power + sparsity * sum(s)."""
    torch.manual_seed(0)
    config = KfpnConfig(channels=4, frames=6, poles=8, recovery=3.0, sparsity=0.7, power=power)
    model, selection, embedded = KFPN(config), torch.rand(6), torch.rand(6, 5)
    atoms = build_atoms(model.radius, model.angle, 6).detach().double().numpy()
    chosen = np.diag(selection.double().numpy())
    system = np.eye(6) + atoms @ atoms.T @ chosen / config.rho
    left = np.linalg.norm(np.linalg.inv(system) @ embedded.double().numpy())
    expected = 3.0 * left**power + 0.7 * float(selection.sum())
    assert float(model.loss(selection, embedded).detach()) == pytest.approx(expected, rel=1e-4)


def test_a_key_frame_that_explains_nothing_raises_the_loss_by_the_weight_of_sparsity():
    model, nothing = KFPN(replace(SMALL, fixed_scale=False, sparsity=2.5)), torch.zeros(40, 36)
    chosen = [(torch.arange(40) < count).float() for count in (0, 1, 4)]
    losses = [model.loss(selection, nothing).item() for selection in chosen]
    assert losses == pytest.approx([0.0, 2.5, 10.0])


def test_for_binary_selections_the_loss_is_what_interpolation_leaves():
    torch.manual_seed(0)
    atoms = torch.randn(12, 30, dtype=torch.float64)
    values = torch.randn(12, 5, dtype=torch.float64)
    chosen = torch.zeros(12, dtype=torch.float64)
    keys = [1, 4, 9]
    chosen[keys] = 1
    gram, rho = atoms @ atoms.T, 0.1
    system = rho * torch.eye(3) + gram[keys][:, keys]
    expected = values - gram[:, keys] @ torch.linalg.solve(system, values[keys])
    torch.testing.assert_close(residual(gram, chosen, values, rho), expected)


def test_padding_counts_for_nothing():
    model = KFPN(SMALL)
    selection, embedded = torch.rand(40), torch.rand(40, 36)
    present = (torch.arange(40) < 25).float()
    loss = model.loss(selection, embedded, present)
    selection[25:], embedded[25:] = 1.0, 7.0
    torch.testing.assert_close(model.loss(selection, embedded, present), loss)


def test_the_square_is_the_square():
    selection, embedded = torch.rand(40), torch.rand(40, 36)
    plain = KFPN(replace(SMALL, sparsity=0.0)).loss(selection, embedded)
    square = KFPN(replace(SMALL, sparsity=0.0, power=2)).loss(selection, embedded)
    torch.testing.assert_close(square, plain**2)


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=40), st.floats(0.01, 0.99))
@settings(deadline=None)
def test_never_chooses_none(values, threshold):
    keys = key_frames(torch.tensor(values), threshold)
    assert keys
    assert keys == sorted(set(keys))
    assert max(keys) < len(values)


def test_chooses_so_many_of_the_best():
    assert key_frames(torch.tensor([0.1, 0.9, 0.5, 0.7]), 0.99, count=2) == [1, 3]


def test_a_short_sequence_is_chosen_from_without_its_padding():
    window = torch.zeros(40, 4, 7, 7)
    window[:3] = torch.rand(3, 4, 7, 7)
    keys = selector_of(KFPN(SMALL))(window, 3)
    assert keys
    assert max(keys) < 3


def test_selections_get_steeper_with_the_epochs():
    assert [alpha_of_epoch(epoch, 0.5) for epoch in (1, 2, 8)] == [0.5, 1.0, 4.0]


@pytest.mark.parametrize("options", [{"rho": 0.0}, {"power": 3}, {"stride": 3}, {"channels": 0}])
def test_refuses_what_cannot_be(options):
    with pytest.raises(ConfigError):
        KfpnConfig(**options)
