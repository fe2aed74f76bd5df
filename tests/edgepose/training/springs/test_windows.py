"""Learning springs and networks on slices."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from edgepose.datasets.clips import Clip
from edgepose.evaluation.perturbation import Perturbation, perturbed
from edgepose.refinement.thin_slicing import FLOW_SIZE
from edgepose.testing import FakeMethod, standing_person
from edgepose.training.config.loader import load_config
from edgepose.training.optimiser import build_optimiser
from edgepose.training.springs.learning import (
    SpringSettings,
    learn_springs,
    measured_springs,
    slice_loss,
)
from edgepose.training.springs.losses import choice_loss, hinge_loss
from edgepose.training.springs.plot import plot_springs, rest_of
from edgepose.training.springs.windows import (
    SliceWindows,
    collect_windows,
    downsampled,
    tracked,
)
from edgepose.training.tasks.networks import build_module
from edgepose.training.tasks.stages import build_task
from edgepose.training.tasks.thin_slicing import SliceTask, slice_grids
from edgepose_runtime.bundles.springs_json import dump_springs
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13
from edgepose_runtime.thin_slicing.graph import body_graph
from edgepose_runtime.thin_slicing.optical_flow import NoFlow, optical_flow
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

    return collect_windows([clip], lambda: look, method.spec, NoFlow(), frames=6, reach=1)


@pytest.mark.parametrize(
    ("every", "age", "head_runs_on"), [(3, 1, [0, 2, 5]), (3, 0, [0, 3, 6]), (None, 0, [0])]
)
def test_windows_hold_the_heat_maps_that_a_tracker_has(every, age, head_runs_on):
    method = FakeMethod()
    crop, roi = np.zeros(method.spec.view.shape, np.uint8), Roi(0, 0, 64, 64)
    look = tracked(method, every=every, age=age)
    maps = [look(crop, roi) for _ in range(7)]
    kinds = [call.kind for call in method.calls]
    assert [n for n, kind in enumerate(kinds) if kind == "initialise"] == head_runs_on
    assert kinds.count("advance") == 7 - len(head_runs_on)
    assert {each.shape for each in maps} == {(13, 64, 64)}


def test_a_weakened_network_sees_less_of_the_same_crop():
    seen = []
    crop = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)

    def look(given, _roi):
        seen.append(given)

    for factor in (1.0, 0.5, 0.25):
        downsampled(look, factor)(crop, None)
    assert np.array_equal(seen[0], crop)
    assert all(each.shape == crop.shape and each.dtype == np.uint8 for each in seen)
    assert seen[0].std() > seen[1].std() > seen[2].std()
    for factor in (0.0, 1.5, float("nan")):
        with pytest.raises(ConfigError, match="above 0 and at most 1"):
            downsampled(look, factor)


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


def blank_windows(cells=8, frames=4, reach=2, joints=13):
    here = np.stack(np.meshgrid(np.arange(cells), np.arange(cells)), -1).astype(np.float16)
    return SliceWindows(
        np.zeros((1, frames, joints, cells, cells), np.float16),
        np.broadcast_to(here, (1, frames, 2 * reach, cells, cells, 2)).copy(),
        np.zeros((1, frames, joints, 3), np.float32),
    )


def test_cells_of_halved_windows_come_from_halved_places():
    """Where nothing moves, each cell of either size comes from itself; by 2 cells becomes by 1."""
    still, half = blank_windows(cells=8), blank_windows(cells=4)
    np.testing.assert_allclose(still.halved().grids, half.grids, atol=1e-3)
    moved = replace(still, grids=still.grids + np.float16(2))
    np.testing.assert_allclose(moved.halved().grids, half.grids + 1, atol=1e-3)


@pytest.mark.parametrize(("reach", "offsets"), [(1, [-1, 1]), (2, [-2, -1, 1, 2])])
def test_slices_are_drawn_with_the_neighbours_that_the_graph_reaches(reach, offsets):
    windows = blank_windows(reach=2)
    for d, offset in enumerate((-2, -1, 1, 2)):
        windows.grids[:, :, d] = offset
    _, grids, _ = windows.draw(np.random.default_rng(0), count=1, length=3, reach=reach)
    assert grids.shape[:3] == (1, 3, 2 * reach)
    assert grids[0, 0, :, 0, 0, 0].tolist() == offsets


def test_springs_are_measured_where_both_joints_are_known():
    windows = blank_windows(frames=4)
    windows.joints[..., 2] = 1
    windows.joints[0, :, 0, :2] = [[5, 2], [5, 4], [0, 0], [7, 7]]
    windows.joints[0, :, 1, :2] = [[2, 1], [2, 3], [7, 7], [0, 0]]
    windows.joints[0, 2, 0, 2] = windows.joints[0, 3, 1, 2] = 0
    edge = body_graph(PENN13).edges.index((0, 1))
    springs = measured_springs(body_graph(PENN13), windows)
    np.testing.assert_allclose(rest_of(springs.spatial[edge])[0], [3, 1], rtol=1e-3)


@pytest.mark.parametrize(("cells", "radius"), [(46, 1.5), (92, 3.0)])
def test_the_hinge_counts_as_the_joint_what_lies_within_twelve_pixels(cells, radius):
    scores = torch.rand(1, 1, 1, cells, cells)
    joints = torch.tensor([[[[20.0, 30.0, 1.0]]]])
    wanted = hinge_loss(scores, joints[..., :2], joints[..., 2], radius=radius)
    torch.testing.assert_close(slice_loss(scores, joints, "hinge"), wanted)


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
        collect_windows([clip], lambda: lambda *_: None, FakeMethod().spec, NoFlow(), frames=9)
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


def test_the_task_compares_scores_with_joints_in_cells_and_leaves_out_those_outside(monkeypatch):
    changes = ["start={}", "phases=[{steps=1, size=64, batch=1}]", "slices.length=2"]
    config = load_config("thin-slicing", [*changes, 'slices.loss="choice"'])
    task = SliceTask(config, build_module(config))
    targets = config.targets
    cells = 64 // int(targets.stride)
    scores = torch.rand(1, 2, 13, cells, cells)
    monkeypatch.setattr(task.module, "scores", lambda *_: scores)
    places = torch.randint(0, cells, (1, 2, 13, 2)).float()
    weight = torch.ones(1, 2, 13)
    wanted = choice_loss(scores[:, :, 1:], places[:, :, 1:], weight[:, :, 1:], spread=cells / 46)
    keypoints = torch.cat([places * targets.stride + targets.offset, weight[..., None]], -1)
    keypoints[:, :, 0, 0] = 64.0 + targets.stride  # right of the crop
    image = torch.zeros(1, 2, 64, 64, 3, dtype=torch.uint8)
    torch.testing.assert_close(task.loss({"image": image, "keypoints": keypoints})["loss"], wanted)


class TestSliceGrids:
    """Where each cell comes from in the neighbouring frames, while the picture moves on."""

    def test_a_cell_comes_from_where_its_picture_is_in_the_neighbour(self):
        noise = np.random.default_rng(0).integers(0, 256, (160, 160), dtype=np.uint8)
        texture = cv2.cvtColor(cv2.GaussianBlur(noise, (0, 0), 3), cv2.COLOR_GRAY2BGR)
        # From frame to frame all moves by 4 pixels, half a cell of 16, to the right, and 2 down.
        views = [texture[16 - 2 * t : 144 - 2 * t, 24 - 4 * t : 152 - 4 * t] for t in range(3)]
        grids = slice_grids(np.stack(views)[None], optical_flow("dis"), cells=16, reach=2)
        assert grids.shape == (1, 3, 4, 16, 16, 2)
        here = np.stack(np.meshgrid(np.arange(16), np.arange(16)), -1)
        moved = (grids[0].numpy() - here)[..., 4:12, 4:12, :].mean((2, 3))
        step, nowhere = np.array([0.5, 0.25]), np.full(2, np.nan)
        wanted = [
            [nowhere, nowhere, step, 2 * step],
            [nowhere, -step, step, nowhere],
            [-2 * step, -step, nowhere, nowhere],
        ]
        np.testing.assert_allclose(moved, wanted, atol=0.1)

    def test_frames_are_compared_in_their_order_and_flow_is_measured_in_cells(self):
        def brighter(receiver, sender):
            """Says by how much the sender is brighter, as a way in pixels of the compared crops."""
            by = float(sender.mean()) - float(receiver.mean())
            return np.full((*receiver.shape, 2), by, np.float32)

        frames = np.stack([np.full((64, 64, 3), 10 * t, np.uint8) for t in (1, 2, 4)])
        grids = slice_grids(frames[None], brighter, cells=16, reach=1)[0].numpy()
        cell = FLOW_SIZE / 16
        np.testing.assert_allclose(grids[0, 1, 0, 0], 10 / cell)
        np.testing.assert_allclose(
            grids[1, :, 3, 2], [[2 - 10 / cell, 3 - 10 / cell], [2 + 20 / cell, 3 + 20 / cell]]
        )
        np.testing.assert_allclose(grids[2, 0, 0, 0], -20 / cell)


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
