import csv
from dataclasses import replace

import pytest
import torch
from torch import nn

from edgepose.datasets.sampling.targets import render_targets
from edgepose.models import DKD
from edgepose.models.dkd.distillator import PoseKernels
from edgepose.training import trainer as trainer_module
from edgepose.training.checkpoint import load_checkpoint
from edgepose.training.config.adversary import AdversarySettings
from edgepose.training.config.settings import Phase
from edgepose.training.divergence import DivergenceMonitor
from edgepose.training.tasks.adversary import Adversary
from edgepose.training.tasks.dkd import DkdTask
from edgepose.training.tasks.losses import heatmap_loss
from edgepose.training.tasks.networks import build_module
from edgepose.training.trainer import RunSettings, Trainer
from edgepose.training.validation import Validator
from edgepose_runtime.errors import CollapseError, ConfigError

JOINTS, CHANNELS, SIZE, FRAMES = 13, 6, 64, 4
NETWORK = {"backbone": "mobilenet_v2", "stages": 2}


class Eye(nn.Module):
    """A frame encoder of one layer, stride 4: 16 cells and kernels of 3x3."""

    stride = 4

    def __init__(self):
        super().__init__()
        self.look = nn.Conv2d(3, CHANNELS, 5, 4, 1)
        self.norm = nn.BatchNorm2d(CHANNELS)
        self.final_layer = nn.Conv2d(CHANNELS, JOINTS, 1)

    def features(self, image):
        return torch.relu(self.norm(self.look(image)))

    def classify(self, features):
        return self.final_layer(features)

    def forward(self, image):
        return self.classify(self.features(image))


class Critic(nn.Module):
    """A discriminator of one layer."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv2d(2 * JOINTS, JOINTS, 3, padding=1)

    def forward(self, _, heatmaps):
        return self.layer(heatmaps.flatten(1, 2).float())


@pytest.fixture
def config(recipe):
    """A recipe of windows, its steps few and its network small."""

    def build(steps=6, length=FRAMES, optimiser=None, **options):
        return recipe(
            dkd="dkd-swift",
            phases=[{"steps": steps, "size": SIZE, "batch": 2}],
            optimiser={"warmup": 2, "ema": 0.9, **(optimiser or {})},
            sequence={"length": length, **options.pop("sequence", {})},
            **options,
        )

    return build


@pytest.fixture
def build(config):
    """A task with a small network, with or without a discriminator."""

    def task(recipe=None, contest=True):
        torch.manual_seed(2)
        recipe = recipe or config()
        settings = AdversarySettings(NETWORK, gain=1.0)
        adversary = Adversary(Critic(), settings, recipe.optimiser) if contest else None
        return DkdTask(recipe, DKD(Eye(), PoseKernels(JOINTS, CHANNELS), Eye()), adversary)

    return task


@pytest.fixture
def run(build, config, clips, tmp_path, monkeypatch):
    monkeypatch.setattr(trainer_module, "REPORT_STEPS", 1)

    def make(recipe=None, contest=True, resume=False):
        recipe = recipe or config()
        settings = RunSettings(tmp_path / "run", workers=0, resume=resume)
        return Trainer(recipe, build(recipe, contest), [clips], settings)

    return make


@pytest.fixture
def batch():
    torch.manual_seed(0)
    places = torch.rand(2, FRAMES, JOINTS, 2) * SIZE
    return {
        "image": torch.randint(0, 256, (2, FRAMES, SIZE, SIZE, 3), dtype=torch.uint8),
        "keypoints": torch.cat([places, torch.ones(2, FRAMES, JOINTS, 1)], -1),
    }


def rows(folder):
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_generators_loss_is_the_sum_of_its_parts(build, batch, config):
    """L_G of Algorithm 1, divided by the number of frames."""
    losses = build(config(sequence={"preliminary": 0.5})).loss(batch)
    own = (losses["loss_head"] + (FRAMES - 1) * losses["loss_dkd"]) / FRAMES
    expected = own + 0.5 * losses["loss_body"]
    expected = expected + 0.1 * (FRAMES - 1) / FRAMES * losses["loss_adversarial"]
    torch.testing.assert_close(losses["loss"], expected)


def test_perfect_maps_have_no_loss_and_empty_ones_that_of_empty_ones(build, batch, monkeypatch):
    task = build(contest=False)
    targets, _ = render_targets(batch["keypoints"], SIZE, task._config.targets)
    monkeypatch.setattr(task, "_heatmaps", lambda _: (targets, targets))
    assert task.loss(batch)["loss"] == task.loss(batch)["against_empty"] == 0
    monkeypatch.setattr(task, "_heatmaps", lambda _: (0 * targets, targets))
    assert task.loss(batch)["against_empty"] == 1


def test_each_side_learns_from_its_own_loss_only(build, batch):
    """Before the backward pass only D has changed; after it only the generator has gradients."""
    task = build()
    before = {name: value.clone() for name, value in task.module.named_parameters()}
    critic = {name: value.clone() for name, value in task.adversary.network.named_parameters()}
    losses = task.loss(batch)
    assert all(p.grad is None for p in task.module.parameters())
    assert all(torch.equal(before[name], p) for name, p in task.module.named_parameters())
    network = task.adversary.network
    moved = {name: value.detach().clone() for name, value in network.named_parameters()}
    losses["loss"].backward()
    assert all(p.grad is None for p in network.parameters())
    assert all(torch.equal(moved[name], p) for name, p in network.named_parameters())
    learners = [p for name, p in task.module.named_parameters() if "encoder.final" not in name]
    assert all(p.grad.abs().sum() > 0 for p in learners)
    optimised = [p for group in task.adversary.optimiser.param_groups for p in group["params"]]
    assert {id(p) for p in optimised} == {id(p) for p in network.parameters()}
    assert all(not torch.equal(critic[name], value) for name, value in moved.items())


def test_what_the_discriminator_says_reaches_initialiser_encoder_and_distillator(build, batch):
    task = build()
    task.loss(batch)["loss_adversarial"].backward()
    parts = task.module.initialiser, task.module.encoder.look, task.module.memory.distillator
    assert all(p.grad.abs().sum() > 0 for part in parts for p in part.parameters())


def test_only_the_last_frame_teaches_through_all_frames(build, batch):
    batch["keypoints"][:, :-1, :, 2] = 0
    task = build(contest=False)
    task.loss(batch)["loss"].backward()
    assert task.module.initialiser.look.weight.grad.abs().sum() > 0


def test_an_encoder_that_stays_is_run_without_its_norms_to_the_same_end(build, config, batch):
    recipe = config(optimiser={"body_factor": 0.0})
    task, plain = build(recipe, contest=False), build(recipe, contest=False)
    for norm in (task.module.encoder.norm, plain.module.encoder.norm):
        torch.nn.init.uniform_(norm.running_var, 0.5, 2.0)
        norm.running_mean += 0.3
    plain.module.encoder.norm.load_state_dict(task.module.encoder.norm.state_dict())
    plain._running = lambda _: plain.module
    losses = []
    for it in (task, plain):
        torch.manual_seed(5)
        it.module.train()
        it.loss(batch)  # the first folds
        norm_runs = []
        it.module.encoder.norm.register_forward_hook(lambda *_, runs=norm_runs: runs.append(1))
        losses.append(it.loss(batch)["loss"])
        losses[-1].backward()
        assert bool(norm_runs) == (it is plain)
    torch.testing.assert_close(*losses)
    for mine, other in zip(task.module.parameters(), plain.module.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, other.grad, rtol=1e-3, atol=1e-6)


def test_an_encoder_may_stay_as_it_is(build, config, batch):
    task = build(config(optimiser={"body_factor": 0.0}))
    task.module.train()
    before = {name: value.clone() for name, value in task.module.encoder.state_dict().items()}
    task.loss(batch)["loss"].backward()
    after = task.module.encoder.state_dict()
    assert all(torch.equal(before[name], value) for name, value in after.items())
    assert all(p.grad is None for p in task.module.encoder.parameters())


def test_the_loss_falls_and_curves_of_both_sides_are_drawn(run, config, tmp_path):
    seen = []
    run(config(steps=60, foreground=8.0, optimiser={"learning_rate": 5e-3})).run(seen.append)
    assert seen[-1].metrics["loss_dkd"] < 0.8 * seen[0].metrics["loss_dkd"]
    names = {"loss", "loss_adversarial", "loss_discriminator", "lambda", "error_real", "error_fake"}
    assert names <= set(rows(tmp_path / "run")[0])
    assert all(0 <= float(row["lambda"]) <= 1 for row in rows(tmp_path / "run"))
    assert (tmp_path / "run" / "curves.png").is_file()


def test_a_stopped_contest_goes_on_without_a_jump(run, tmp_path):
    """Generator, discriminator and λ to the last bit as in a run that was never stopped."""
    run().run(lambda _: None)
    whole, expected = load_checkpoint(tmp_path / "run" / "checkpoint.pt"), rows(tmp_path / "run")
    (tmp_path / "run").rename(tmp_path / "whole")

    first = run()
    assert not first.run(lambda progress: first.stop() if progress.step == 3 else None)
    assert run(resume=True).run(lambda _: None)
    resumed = load_checkpoint(tmp_path / "run" / "checkpoint.pt")

    for part in ("model", "ema"):
        assert all(torch.equal(value, resumed[part][name]) for name, value in whole[part].items())
    assert whole["adversary"]["balance"] == resumed["adversary"]["balance"]
    critic = resumed["adversary"]["model"]
    assert all(torch.equal(v, critic[name]) for name, v in whole["adversary"]["model"].items())
    assert whole["watch"] == resumed["watch"]
    for a, b in zip(expected, rows(tmp_path / "run"), strict=True):
        assert {**a, "images_per_second": ""} == {**b, "images_per_second": ""}


def test_a_discriminator_that_is_new_to_a_run_is_mentioned(run, caplog):
    run(contest=False).run(lambda _: None)
    run(resume=True)
    assert "a new one starts" in caplog.text


@pytest.mark.parametrize("reaction", ["stop", "warn"])
def test_a_collapse_is_said_and_ends_the_run_unless_told_otherwise(
    run, config, tmp_path, caplog, monkeypatch, reaction
):
    trainer = run(config(on_collapse=reaction), contest=False)
    trainer._state.divergence = DivergenceMonitor(patience=3)
    monkeypatch.setattr(DKD, "forward", blank)
    if reaction == "warn":
        assert trainer.run(lambda _: None)
    else:
        with pytest.raises(CollapseError, match=r"have collapsed.*stopped at step 3"):
            trainer.run(lambda _: None)
        assert len(rows(tmp_path / "run")) == 3
        assert (tmp_path / "run" / "curves.png").is_file()
        assert not (tmp_path / "run" / "checkpoint.pt").exists()
    assert "have collapsed" in caplog.text


def blank(module, clip, _):
    """Empty maps, whatever the network has learned."""
    nothing = (module.memory.u.weight.sum() * 0).expand(len(clip), FRAMES, JOINTS, 16, 16)
    return nothing, nothing


def test_a_recipe_describes_the_network(config):
    module = build_module(config(sequence={"head": False}))
    assert isinstance(module, DKD)
    assert module.initialiser is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"ppn": "ppn-swift"}, "one of them only"),
        ({"network": NETWORK}, "one of them only"),
        ({"dkd": None, "network": NETWORK, "sequence": None}, "no 'dkd'"),
        ({"sequence": None}, "'sequence' together"),
        ({"slices": {}}, "'slices' and 'dkd'"),
        ({"on_collapse": "cry"}, "'cry'"),
    ],
)
def test_options_that_do_not_fit_are_refused(recipe, options, words):
    given = {"dkd": "dkd-swift", "sequence": {}, "adversary": {"network": NETWORK}, **options}
    with pytest.raises(ConfigError, match=words):
        recipe(**given)


def test_a_size_that_gives_no_odd_kernels_is_refused(config):
    recipe = replace(config(), phases=(Phase(steps=1, size=96, batch=1),))
    with pytest.raises(ConfigError, match="odd size"):
        build_module(recipe)


def test_validation_follows_the_clip_and_measures_the_encoder_too(build):
    network = build(contest=False).module.eval()
    clip = torch.rand(FRAMES, 3, SIZE, SIZE)
    final, alone = network(clip[None])
    validator = object.__new__(Validator)
    sample = type("Sample", (), {"crops": torch.zeros(FRAMES, SIZE, SIZE, 3, dtype=torch.uint8)})
    names = [name for name, maps in validator._heatmaps(network, sample) if len(maps) == FRAMES]
    assert names == ["", "body_"]
    assert not torch.equal(final, alone)


def test_a_window_without_labels_costs_nothing(build, batch):
    batch["keypoints"][..., 2] = 0
    losses = build().loss(batch)
    assert losses["loss"] == 0
    assert torch.isfinite(losses["against_empty"])
    assert heatmap_loss(torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2), torch.zeros(1, 1)) == 0
