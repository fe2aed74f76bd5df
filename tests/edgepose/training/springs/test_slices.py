"""Learning springs and networks on slices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgepose.datasets.clips import Clip
from edgepose.evaluation.perturbation import Perturbation, perturbed
from edgepose.testing import FakeMethod, standing_person
from edgepose.training.config.loader import load_config
from edgepose.training.optimiser import build_optimiser
from edgepose.training.springs.learning import SpringSettings, learn_springs, measured_springs
from edgepose.training.springs.losses import choice_loss, hinge_loss
from edgepose.training.springs.plot import plot_springs, rest_of
from edgepose.training.springs.windows import SliceWindows, collect_windows, weakened
from edgepose.training.tasks.networks import build_module
from edgepose.training.tasks.stages import build_task
from edgepose.training.tasks.thin_slicing import SliceTask
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13
from edgepose_runtime.thin_slicing.files import dump_springs
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.optical_flow import NoFlow
from edgepose_runtime.thin_slicing.springs import initial_springs, signed

PEOPLE = np.stack([standing_person((150 + 2 * t, 120), 120) for t in range(6)])


@pytest.fixture
def clip() -> Clip:
    frames = [np.full((240, 320, 3), 100, np.uint8)] * len(PEOPLE)
    return Clip("walk", "film", lambda: iter(frames), PEOPLE, None, PENN13, 25.0, "train")


@pytest.fixture
def windows(clip) -> SliceWindows:
    method = FakeMethod()
    people = iter(PEOPLE)

    def look(crop, roi):
        method.person = next(people)
        return method.locate(crop, roi)

    return collect_windows([clip], look, method.spec, NoFlow(), frames=6, reach=1)


def test_a_weakened_network_sees_less_of_the_same_crop():
    seen = []
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def look(given, _roi):
        seen.append(given)

    for factor in (1.0, 0.5, 0.25):
        weakened(look, factor)(crop, None)
    assert np.array_equal(seen[0], crop)
    assert all(each.shape == crop.shape and each.dtype == np.uint8 for each in seen)
    assert seen[0].std() > seen[1].std() > seen[2].std()
    for factor in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="above 0 and at most 1"):
            weakened(look, factor)


def test_the_hinge_asks_for_one_at_the_joint_and_minus_one_elsewhere():
    joints, weight = torch.tensor([[[3.0, 2.0]]]), torch.ones(1, 1)
    perfect = torch.full((1, 1, 8, 8), -1.0)
    y, x = torch.meshgrid(torch.arange(8), torch.arange(8), indexing="ij")
    perfect[0, 0][(x - 3) ** 2 + (y - 2) ** 2 <= 1.5**2] = 1.0
    assert hinge_loss(perfect, joints, weight) == 0
    assert hinge_loss(-perfect, joints, weight) == 2
    empty = torch.full_like(perfect, -1.0)
    assert hinge_loss(empty, joints, weight) < 0.3


@pytest.mark.parametrize("loss", [hinge_loss, choice_loss])
def test_joints_that_are_unknown_cost_nothing(loss):
    joints = torch.tensor([[[3.0, 2.0], [1.0, 1.0]]])
    scores = torch.rand(1, 2, 8, 8)
    one = loss(scores[:, :1], joints[:, :1], torch.ones(1, 1))
    torch.testing.assert_close(loss(scores, joints, torch.tensor([[1.0, 0.0]])), one)


def test_the_right_choice_costs_least():
    joints, weight = torch.tensor([[[3.0, 2.0]]]), torch.ones(1, 1)
    scores = torch.zeros(1, 1, 8, 8)
    scores[0, 0, 2, 3] = 1
    assert choice_loss(scores, joints, weight) < choice_loss(scores.roll(3, -1), joints, weight)


def test_windows_hold_what_the_network_saw_of_known_joints(windows, tmp_path):
    assert windows.heatmaps.shape == (1, 6, 13, 64, 64)
    peaks = windows.heatmaps.reshape(6, 13, -1).argmax(-1)
    found = np.stack([peaks % 64, peaks // 64], -1)
    np.testing.assert_allclose(found, windows.joints[0, :, :, :2], atol=0.6)
    assert np.isnan(windows.grids[0, 0, 0]).all()
    assert np.isfinite(windows.grids[0, 1]).all()
    windows.save(tmp_path / "windows.npz")
    again = SliceWindows.load(tmp_path / "windows.npz")
    np.testing.assert_array_equal(again.heatmaps, windows.heatmaps)


def test_halved_windows_show_the_same_places(windows):
    half = windows.halved()
    peaks = half.heatmaps.reshape(6, 13, -1).argmax(-1)
    found = np.stack([peaks % 32, peaks // 32], -1)
    np.testing.assert_allclose(found, half.joints[0, :, :, :2], atol=0.8)


def test_springs_rest_where_joints_are_on_average(windows):
    springs = measured_springs(body_graph(PENN13), windows)
    rest, _ = rest_of(springs.spatial[0])
    moved = windows.joints[0, :, 0, :2] - windows.joints[0, :, 1, :2]
    np.testing.assert_allclose(rest, moved.mean(0), atol=0.1)


def test_learning_lowers_the_loss_and_leaves_frozen_parts(windows, tmp_path):
    half = windows.halved().halved()
    start = measured_springs(body_graph(PENN13), half)
    losses: list[float] = []
    settings = SpringSettings(steps=12, batch=1, learning_rate=0.05)
    springs = learn_springs(half, start, settings, losses.append)
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    np.testing.assert_allclose(springs.gain, start.gain, rtol=1e-6)
    assert np.abs(springs.spatial - start.spatial).max() > 0
    plot_springs(springs, tmp_path / "springs.png")
    assert (tmp_path / "springs.png").stat().st_size > 1000


def test_windows_that_do_not_fit_are_refused(windows, clip, tmp_path):
    with pytest.raises(ConfigError, match="reach"):
        springs = measured_springs(body_graph(PENN13, reach=2), windows)
        learn_springs(windows, springs, SpringSettings(steps=1))
    with pytest.raises(ConfigError, match="no 'springs'"):
        SpringSettings(frozen=("springs",))
    with pytest.raises(DataError, match="9 annotated frames"):
        collect_windows([clip], lambda *_: None, FakeMethod().spec, NoFlow(), frames=9)
    with pytest.raises(DataError):
        SliceWindows.load(tmp_path / "nowhere.npz")


def test_the_recipe_trains_network_and_springs_together(tmp_path):
    changes = ["start={}", "phases=[{steps=1, size=64, batch=1}]", "slices.length=2"]
    task = build_task(load_config("thin-slicing", changes), tmp_path)
    assert isinstance(task, SliceTask)
    keypoints = torch.rand(1, 2, 13, 3) * 60
    image = torch.randint(0, 255, (1, 2, 64, 64, 3), dtype=torch.uint8)
    loss = task.loss({"image": image, "keypoints": keypoints, "matrix": torch.zeros(1, 2, 2, 3)})
    loss["loss"].backward()
    assert torch.isfinite(loss["loss"])
    assert task.module.get_parameter("messages.bias").grad is not None


class TestSlices:
    """What the recipe's ``slices`` become."""

    def network(self, *changes):
        small = ["start={}", "phases=[{steps=1, size=64, batch=1}]", *changes]
        return build_module(load_config("thin-slicing", small))

    def test_messages_are_about_what_is_before_the_sigmoid_unless_told_otherwise(self):
        duc = 'network={backbone="mobilenet_v2"}'
        assert self.network().before_sigmoid
        assert not self.network("slices.before_sigmoid=false").before_sigmoid
        assert not self.network(duc).before_sigmoid  # it has no sigmoid

    def test_springs_of_a_file_get_the_signed_scores_that_the_hinge_needs_once(self, tmp_path):
        file = tmp_path / "springs.json"
        plain = initial_springs(body_graph(PENN13), heatmap_size=16)
        for springs, loss, gain in (
            (plain, "choice", 1),
            (plain, "hinge", 2),
            (signed(plain), "hinge", 2),
            (replace(plain, bias=plain.bias + 0.01), "hinge", 2),  # learned
            (replace(signed(plain), bias=plain.bias - 0.98), "hinge", 2),
        ):
            file.write_text(dump_springs(springs))
            network = self.network(f"slices.springs={file}", f"slices.loss={loss}")
            np.testing.assert_allclose(network.messages.springs().gain, gain, rtol=1e-6)

    def test_springs_that_do_not_fit_are_refused(self, tmp_path):
        file = tmp_path / "springs.json"
        file.write_text(dump_springs(initial_springs(body_graph(JHMDB15), heatmap_size=16)))
        with pytest.raises(ConfigError, match="for jhmdb15, the recipe 'thin-slicing' for penn13"):
            self.network(f"slices.springs={file}")

    def test_a_bundle_without_springs_is_refused(self, framewise_bundle):
        with pytest.raises(ConfigError, match="no springs to start from"):
            self.network(f"slices.springs={framewise_bundle.path}")

    def test_the_unary_network_may_stay_as_it_is(self):
        config = load_config("thin-slicing", ["optimiser.body_factor=0"])
        network = self.network()
        SliceTask(config, network)
        assert not any(parameter.requires_grad for parameter in network.unary.parameters())
        assert network.messages.spatial.requires_grad

    def test_the_unary_network_learns_at_its_own_rate(self):
        config = load_config("thin-slicing", ["optimiser.body_factor=0.5"])
        optimiser = build_optimiser(self.network(), config.optimiser)
        rates = {group["peak"] / config.optimiser.learning_rate for group in optimiser.param_groups}
        assert rates == {1.0, 0.5, 0.5 * config.optimiser.backbone_factor}


class TestPerturbation:
    def test_as_many_frames_are_spoilt_as_was_asked_for_every_time_the_same(self, clip):
        spoilt = perturbed(clip, Perturbation(0.5))
        first, again = ([f.copy() for f in spoilt.frames()] for _ in range(2))
        np.testing.assert_array_equal(first, again)
        # Blur changes nothing in a plain picture; what covers somebody does.
        covered = perturbed(clip, Perturbation(0.5, kinds=("occlusion",)))
        changed = [(frame != 100).any() for frame in covered.frames()]
        assert sum(changed) == 3

    @pytest.mark.parametrize("share", [0.0, 1.0])
    def test_none_or_all(self, clip, share):
        covered = perturbed(clip, Perturbation(share, kinds=("occlusion",)))
        assert {(frame != 100).any() for frame in covered.frames()} == {share == 1.0}

    def test_what_cannot_be_is_refused(self):
        for options in (
            {"share": 2},
            {"share": 0.5, "kinds": ("fog",)},
            {"share": 0.5, "stretch": 0},
        ):
            with pytest.raises(ConfigError):
                Perturbation(**options)
