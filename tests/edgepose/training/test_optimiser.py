import pytest
from torch import nn

from edgepose.training.config.optimiser import OptimiserSettings
from edgepose.training.optimiser import build_optimiser, schedule, set_learning_rate
from edgepose_runtime.errors import ConfigError


def factors(recipe, steps, **optimiser):
    config = recipe(phases=[{"steps": 100, "size": 64, "batch": 1}], optimiser=optimiser)
    return [schedule(config, step) for step in steps]


def test_warmup_rises_to_the_peak(recipe):
    assert factors(recipe, [0, 4, 9, 10], warmup=10, schedule="constant") == [0.1, 0.5, 1.0, 1.0]


def test_cosine_and_linear_fall_to_zero(recipe):
    assert factors(recipe, [0, 50, 100]) == pytest.approx([1.0, 0.5, 0.0])
    assert factors(recipe, [0, 25, 100], schedule="linear") == pytest.approx([1.0, 0.75, 0.0])


def test_steps_divide_by_ten_at_the_milestones(recipe):
    found = factors(recipe, [0, 49, 50, 90], schedule="step", milestones=[0.5, 0.9])
    assert found == pytest.approx([1.0, 1.0, 0.1, 0.01])


def test_the_factor_of_a_step_can_be_a_third(recipe):
    found = factors(recipe, [49, 50], schedule="step", milestones=[0.5], step_factor=1 / 3)
    assert found == pytest.approx([1.0, 1 / 3])


def test_sgd_has_the_momentum_of_the_recipe():
    optimiser = build_optimiser(Whole(), OptimiserSettings(name="sgd", momentum=0.7))
    assert {group["momentum"] for group in optimiser.param_groups} == {0.7}


@pytest.mark.parametrize("options", [{"step_factor": 1.0}, {"momentum": 1.0}])
def test_factors_out_of_their_range_are_refused(options):
    with pytest.raises(ConfigError, match="momentum"):
        OptimiserSettings(**options)


class Whole(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.ModuleDict({"backbone": nn.Conv2d(3, 4, 1), "head": nn.Conv2d(4, 4, 1)})
        self.ppu = nn.Conv2d(4, 4, 1)


def test_parts_have_their_own_rates_and_biases_no_decay():
    settings = OptimiserSettings(
        learning_rate=1.0, backbone_factor=0.1, body_factor=0.5, weight_decay=0.2
    )
    module = Whole()
    optimiser = build_optimiser(module, settings)
    found = {
        parameter: (group["peak"], group["weight_decay"])
        for group in optimiser.param_groups
        for parameter in group["params"]
    }
    assert found[module.body["backbone"].weight] == pytest.approx((0.05, 0.2))
    assert found[module.body["head"].weight] == (0.5, 0.2)
    assert found[module.ppu.weight] == (1.0, 0.2)
    assert found[module.ppu.bias] == (1.0, 0.0)
    set_learning_rate(optimiser, 0.5)
    assert {group["lr"] for group in optimiser.param_groups} == {0.025, 0.25, 0.5}


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_optimisers_are_known_by_name(name):
    optimiser = build_optimiser(Whole(), OptimiserSettings(name=name))
    assert type(optimiser).__name__.lower() == name
