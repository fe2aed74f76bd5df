from dataclasses import replace

import numpy as np
import pytest
import torch

from edgepose.models.keyframes.kfpn import KFPN, selector_of
from edgepose.models.keyframes.online import (
    OnlineConfig,
    OnlineDiscriminator,
    OnlineKeyFrameSelector,
)
from edgepose.training.config.loader import load_recipe
from edgepose.training.config.selectors import SelectionTraining
from edgepose.training.selectors.kfpn import (
    train_online,
    train_selector,
    window_of,
)
from edgepose_runtime.errors import ConfigError, DataError

SMALL = replace(load_recipe("kfpn/resnet50").network, channels=3, poles=6)
TRAINING = SelectionTraining(6, 1e-2, decay=0.0)


@pytest.fixture
def clips():
    random = np.random.default_rng(0)
    return [random.normal(size=(n, 3, 7, 7)).cumsum(axis=0) for n in (40, 45, 30)]


def test_training_lowers_the_loss(clips):
    torch.manual_seed(0)
    losses = []
    train_selector(KFPN(SMALL), clips, TRAINING, lambda _epoch, loss: losses.append(loss))
    assert len(losses) == 6
    assert losses[-1] < losses[0]


def test_a_first_convolution_that_is_frozen_stays_and_the_others_learn_as_with_it(clips):
    trained = []
    for freeze in (False, True):
        torch.manual_seed(0)
        model, losses = KFPN(SMALL), []
        before = {name: value.clone() for name, value in model.state_dict().items()}
        training = SelectionTraining(3, 1e-6, momentum=0.0, decay=0.0, freeze_first=freeze)
        train_selector(model, clips, training, lambda _epoch, loss, to=losses: to.append(loss))
        trained.append((model.state_dict(), losses))
    (_, losses), (frozen, others) = trained
    np.testing.assert_allclose(others, losses, rtol=1e-3)
    first = "embedding.layers.0.0.weight"
    assert torch.equal(frozen[first], before[first])
    changed = [name for name in frozen if not torch.equal(frozen[name], before[name])]
    assert "scores.weight" in changed
    assert "embedding.layers.1.0.weight" in changed


class SteepnessRecorder(KFPN):
    """Keeps the steepness that each window is scored with."""

    def __init__(self):
        super().__init__(SMALL)
        self.steepness = []

    def scored(self, embedded, alpha=None):
        self.steepness.append(alpha)
        return super().scored(embedded, alpha)


def test_the_selection_gets_steeper_with_each_epoch_of_training(clips):
    model = SteepnessRecorder()
    train_selector(model, clips[:2], replace(TRAINING, epochs=3, alpha_slope=0.5))
    assert model.steepness == [0.5, 0.5, 1.0, 1.0, 1.5, 1.5]


def test_without_a_slope_the_steepness_is_that_of_the_configuration(clips):
    model = SteepnessRecorder()
    train_selector(model, clips[:1], replace(TRAINING, epochs=2, alpha_slope=0.0))
    assert model.steepness == [None, None]
    embedded = torch.rand(40, 64, 3, 3)
    torch.testing.assert_close(model.scored(embedded), model.scored(embedded, SMALL.alpha))
    torch.testing.assert_close(model.scored(embedded, 3.0), 3 * model.scored(embedded, 1.0))


def test_the_number_of_key_frames_follows_what_is_wanted(clips):
    found = {}
    for wanted in (5.0, 30.0):
        torch.manual_seed(0)
        model = KFPN(SMALL)
        train_selector(model, clips, replace(TRAINING, epochs=25, decide=True, keys=wanted))
        window = window_of(clips[0], 0, 40)[0]
        found[wanted] = len(selector_of(model)(window, 40))
    assert found[5.0] + 5 < found[30.0]


def test_the_rate_falls_at_parts_of_the_training(clips, monkeypatch):
    milestones = []
    schedules = torch.optim.lr_scheduler
    original = schedules.MultiStepLR
    monkeypatch.setattr(
        schedules,
        "MultiStepLR",
        lambda optimiser, steps: milestones.append(steps) or original(optimiser, steps),
    )
    training = load_recipe("kfpn/published-jhmdb", ["selector.epochs=10"]).selector
    train_selector(KFPN(SMALL), clips[:1], training)
    assert milestones == [[3, 5, 7]]


def test_what_comes_after_the_batch_says_nothing_of_what_is_expected(clips):
    model = OnlineDiscriminator(OnlineConfig(channels=3, grid=7, edge=True, poles=6, iterations=5))
    batches = []

    def select(window, count):
        batches.append((window.clone(), count))
        return [0, count - 1]

    train_online(model, select, clips[:1], TRAINING)
    window, count = batches[-1]
    assert count == 30
    assert float(window[30:].abs().sum()) == 0


def test_the_discriminator_learns_what_the_selector_says_later(clips):
    torch.manual_seed(0)
    selector = KFPN(SMALL)
    model = OnlineDiscriminator(OnlineConfig(channels=3, grid=7, edge=True, poles=6, iterations=5))
    before = {name: value.clone() for name, value in selector.state_dict().items()}
    losses = []
    train_online(
        model, selector_of(selector), clips, TRAINING, lambda _epoch, loss: losses.append(loss)
    )
    assert losses[-1] < losses[0]
    for name, value in selector.state_dict().items():
        torch.testing.assert_close(value, before[name])


def test_the_discriminator_takes_for_key_frames_those_that_the_selector_chose():
    """Two frames after the batch look different, and only those the selector chooses."""
    torch.manual_seed(0)
    clip, chosen = np.ones((40, 3, 7, 7)), [0, 10, 20, 33, 36]
    clip[[33, 36]] = -1.0

    def select(_window, count):
        return [key for key in chosen if key < count]

    model = OnlineDiscriminator(OnlineConfig(channels=3, grid=7, edge=True, poles=6, iterations=5))
    train_online(model, select, [clip], replace(TRAINING, epochs=40))
    stream = OnlineKeyFrameSelector(select, model)
    ages = [stream.take(torch.from_numpy(frame).float()) for frame in clip]
    assert [index for index in range(30, 40) if ages[index] == [0]] == [33, 36]


def test_clips_that_are_all_too_short_for_the_discriminator_are_refused(clips):
    model = OnlineDiscriminator(OnlineConfig(channels=3, grid=7, edge=True, poles=6, iterations=5))
    with pytest.raises(DataError, match="longest of the 1 clips has 30"):
        train_online(model, lambda _window, _count: [0], clips[2:], TRAINING)


def test_a_short_clip_is_padded():
    window, present = window_of(np.ones((5, 2, 3, 3)), 2, 6)
    assert window.shape == (6, 2, 3, 3)
    assert present.tolist() == [1, 1, 1, 0, 0, 0]
    assert float(window[3:].abs().sum()) == 0


def test_the_published_recipes_have_the_published_settings():
    penn, jhmdb = (load_recipe(f"kfpn/published-{data}") for data in ("penn", "jhmdb"))
    assert (penn.selector.rate, penn.selector.momentum, penn.selector.alpha_slope) == (
        1e-8,
        0.9,
        0.2,
    )
    assert (jhmdb.selector.rate, jhmdb.selector.momentum) == (1e-6, 0.0)
    assert (penn.network.stride, penn.network.sparsity, penn.network.recovery) == (2, 2.5, 4.5)
    assert (jhmdb.network.stride, jhmdb.network.sparsity, jhmdb.network.recovery) == (1, 4.0, 2.0)
    for recipe in (penn, jhmdb):
        assert (recipe.depth, recipe.stride_in_1x1) == (50, True)
        assert recipe.network.power == 1
        as_written = load_recipe(f"{recipe.name.replace('-', '/', 1)}-eq16")
        assert (as_written.network.power, as_written.selector.rate) == (2, 1e-8)
        assert recipe.selector.freeze_first
        assert not (recipe.network.fixed_scale or recipe.selector.decide)


@pytest.mark.parametrize(
    "options", [{"epochs": 0}, {"rate": 0.0}, {"decay": -1.0}, {"milestones": (30.0,)}]
)
def test_refuses_what_is_no_training(options):
    with pytest.raises(ConfigError):
        SelectionTraining(**{"epochs": 1, "rate": 1e-3, **options})
