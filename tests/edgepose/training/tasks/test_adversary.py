from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgepose.training.config.adversary import AdversarySettings
from edgepose.training.config.loader import load_config, recipe_names
from edgepose.training.config.optimiser import OptimiserSettings
from edgepose.training.tasks.adversary import Adversary, balanced, build_adversary
from edgepose_runtime.errors import CheckpointError, ConfigError

JOINTS, CELLS, FRAMES = 2, 4, 3
NETWORK = {"backbone": "mobilenet_v2", "stages": 2}


class Guess(nn.Module):
    """Stands for D: a mix of the first and the last frame's maps, with a weight for each."""

    def __init__(self, first=0.0, last=0.0):
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([first, last]))

    def forward(self, images, heatmaps):
        assert len(images) == len(heatmaps)
        assert images.shape[1] == heatmaps.shape[1]
        return self.weights[0] * heatmaps[:, 0] + self.weights[1] * heatmaps[:, -1]


def adversary(network=None, kind="temporal", rate=1e-2, **settings):
    settings = AdversarySettings(NETWORK, kind=kind, **settings)
    optimiser = OptimiserSettings(name="adam", learning_rate=rate, weight_decay=0.0)
    out = Adversary(network or Guess(), settings, optimiser)
    for group in out.optimiser.param_groups:
        group["lr"] = group["peak"]
    return out


@pytest.fixture
def window():
    """Pictures, true maps, the generator's maps, and the weights of joints."""
    shape = 2, FRAMES, JOINTS, CELLS, CELLS
    return (
        torch.rand(2, FRAMES, 3, 32, 32),
        torch.rand(shape),
        torch.rand(shape),
        torch.ones(2, 3, 2),
    )


@pytest.mark.parametrize(
    ("before", "real", "fake", "after"),
    [
        (0.5, 0.3, 0.1, 0.52),  # the truth is harder for D than the fakes: they count more
        (0.5, 0.1, 0.3, 0.48),
        (0.5, 0.2, 0.2, 0.5),
        (0.0, 0.1, 0.9, 0.0),
        (1.0, 0.9, 0.1, 1.0),
        (0.99, 9.0, 0.0, 1.0),
    ],
)
def test_the_balance_moves_the_right_way_and_stays_in_its_bounds(before, real, fake, after):
    assert balanced(before, real, fake, gain=0.1) == pytest.approx(after)


def test_the_balance_is_driven_by_sums_over_the_changes_of_a_window(window):
    images, real, fake, weight = window
    contest = adversary(gain=1.0)
    found = contest.learn(images, real, fake * 0, weight)
    change = (real[:, 1:] - real[:, :-1]).square().mean().item()
    assert found["error_real"] == pytest.approx(change)
    assert found["error_fake"] == 0.0
    assert contest.balance == pytest.approx(min(1.0, (FRAMES - 1) * change))


def test_the_discriminator_learns_the_true_change(window):
    """Right is the last frame's maps less the first one's."""
    images, real, fake, weight = window
    contest = adversary(rate=5e-2)
    for _ in range(150):
        contest.learn(images, real, fake * 0, weight)
    torch.testing.assert_close(
        contest.network.weights.detach(), torch.tensor([-1.0, 1.0]), atol=0.05, rtol=0
    )


def test_fakes_push_the_other_way_as_far_as_the_balance_says(window):
    images, real, fake, weight = window
    contest = adversary(Guess(0.3, 0.2), gain=0.0)
    contest.balance = 0.25
    found = contest.learn(images, real, fake, weight)
    expected = found["error_real"] - 0.25 * found["error_fake"]
    assert found["loss_discriminator"] == pytest.approx(expected)


def test_the_discriminators_step_leaves_the_generator_alone(window):
    images, real, fake, weight = window
    fake.requires_grad_()
    contest = adversary(Guess(0.3, 0.2))
    before = contest.network.weights.detach().clone()
    contest.learn(images, real, fake, weight)
    assert fake.grad is None
    assert not torch.equal(contest.network.weights, before)


def test_the_generators_loss_leaves_the_discriminator_alone(window):
    images, real, fake, weight = window
    fake.requires_grad_()
    contest = adversary(Guess(0.3, 0.2))
    contest.learn(images, real, fake, weight)
    before = contest.network.weights.detach().clone()
    contest.score(images, fake, weight).backward()
    assert fake.grad.abs().sum() > 0
    assert contest.network.weights.grad is None
    assert torch.equal(contest.network.weights, before)


def test_a_change_counts_where_the_joint_is_known_in_both_frames(window):
    images, _, fake, weight = window
    weight[:, 0, 0] = weight[:, 2, 1] = 0
    change = (fake[:, 1:] - fake[:, :-1]).square().mean((-2, -1))
    expected = (change[:, 1, 0] + change[:, 0, 1]).mean() / 2
    torch.testing.assert_close(adversary().score(images, fake, weight), expected)


def test_the_spatial_form_reconstructs_the_maps_of_single_frames(window):
    images, _, fake, weight = window
    contest = adversary(Guess(1.0, 0.0), kind="spatial")
    assert contest.score(images, fake, weight).item() == 0.0
    contest = adversary(kind="spatial")
    torch.testing.assert_close(contest.score(images, fake, weight), fake.square().mean())


def test_a_contest_goes_on_from_its_state_without_a_jump(window):
    images, real, fake, weight = window
    first = adversary(gain=0.5)
    first.learn(images, real, 0 * fake, weight)
    second = adversary(Guess(9.0, 9.0), gain=0.5)
    second.load_state_dict(deepcopy(first.state_dict()))
    assert second.balance == first.balance > 0
    assert first.learn(*window) == second.learn(*window)
    assert torch.equal(first.network.weights, second.network.weights)


def dkd_recipe(recipe, **adversary):
    return recipe(
        dkd="dkd-swift",
        sequence={"length": 2},
        targets={"stride": 8, "offset": 3.5},
        phases=[{"steps": 2, "size": 128, "batch": 2}],
        adversary={"network": NETWORK, **adversary},
    )


def test_a_recipe_describes_the_discriminator(recipe, tmp_path):
    contest = build_adversary(dkd_recipe(recipe, kind="spatial", rate_factor=0.5), tmp_path)
    assert contest.network.frames == 1
    assert {group["peak"] for group in contest.optimiser.param_groups} == {5e-4}


@pytest.mark.parametrize("name", [name for name in recipe_names() if "dkd-" in name])
def test_the_discriminator_of_every_shipped_recipe_fits_it(name, tmp_path):
    config = load_config(name)
    if config.adversary is not None:
        drawn = replace(config.adversary, backbone="")
        with torch.device("meta"):  # without memory or time for weights
            assert build_adversary(replace(config, adversary=drawn), tmp_path) is not None


def test_no_weight_means_no_discriminator(recipe, tmp_path):
    assert build_adversary(dkd_recipe(recipe, weight=0.0), tmp_path) is None


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"shrink": 2}, ConfigError, "stride 16, the targets 8"),
        ({"backbone": "nowhere.pth"}, CheckpointError, r"nowhere\.pth"),
    ],
)
def test_a_discriminator_that_does_not_fit_is_refused(recipe, tmp_path, options, error, words):
    with pytest.raises(error, match=words):
        build_adversary(dkd_recipe(recipe, **options), tmp_path)


@pytest.mark.parametrize(
    "options", [{"shrink": 0}, {"weight": -1.0}, {"gain": -1.0}, {"rate_factor": 0.0}]
)
def test_settings_out_of_their_range_are_refused(options):
    with pytest.raises(ConfigError, match="A discriminator needs"):
        AdversarySettings(NETWORK, **options)


def test_a_head_that_knows_no_fall_is_refused():
    with pytest.raises(ConfigError, match="choose duc or deconv"):
        AdversarySettings({"backbone": "mobilenet_v2", "head": "pyramid"})
