"""Message passing in torch: gradients, and the same scores as on the device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from edgepose.models import MessagePassing
from edgepose.models.thin_slicing.network import (
    SliceNetwork,
    linearised_sigmoid,
    sigmoid_of_linearised,
)
from edgepose.models.thin_slicing.transforms import dense_transform, envelope_transform, warp_maps
from edgepose_runtime.poses.skeletons import JHMDB15
from edgepose_runtime.thin_slicing.distance import distance_transform_numpy
from edgepose_runtime.thin_slicing.graph import PoseGraph, body_graph
from edgepose_runtime.thin_slicing.sliding import SlidingSlice
from edgepose_runtime.thin_slicing.springs import initial_springs, signed
from edgepose_runtime.thin_slicing.warping import warp_heatmaps_numpy

SIDE = 8


def random_springs(graph, **changes):
    rng = np.random.default_rng(0)
    springs = initial_springs(graph, heatmap_size=SIDE, rounds=3)

    def shaken(values):
        return np.asarray(values + rng.uniform(0, 0.3, values.shape), np.float32)

    names = ("spatial", "temporal", "spatial_weight", "temporal_weight", "gain", "bias")
    return replace(springs, **{name: shaken(getattr(springs, name)) for name in names}, **changes)


def random_slice(reach, joints=15, frames=4):
    rng = np.random.default_rng(1)
    here = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1)
    grids = here + rng.normal(0, 0.7, (frames, 2 * reach, SIDE, SIDE, 2))
    grids[1, 0, 2, 3] = np.nan
    return rng.random((frames, joints, SIDE, SIDE), np.float32), grids.astype(np.float32)


@pytest.mark.parametrize("transform", [dense_transform, envelope_transform])
@pytest.mark.parametrize("exclude_reverse", [False, True])
@pytest.mark.parametrize("normalise", ["mean", "sum"])
def test_torch_and_the_device_agree_on_random_graphs(transform, exclude_reverse, normalise):
    rng = np.random.default_rng(2)
    pairs = {tuple(sorted(rng.choice(15, 2, replace=False).tolist())) for _ in range(12)}
    graph = PoseGraph(JHMDB15, tuple(pairs), reach=2)
    springs = random_springs(graph, normalise=normalise, exclude_reverse=exclude_reverse)
    maps, grids = random_slice(reach=2)
    passing = MessagePassing(springs, transform)
    scores = passing(torch.from_numpy(maps)[None], torch.from_numpy(grids)[None])[0]
    scores = scores.detach().numpy() - springs.bias[:, None, None]
    sliding = SlidingSlice(springs, lag=3)
    for each in maps:
        sliding.push(each, lambda a, b: grids[a, b - a + (2 if b < a else 1)])
    wanted = np.stack([sliding.refined(t) for t in range(4)]) * springs.gain[:, None, None]
    np.testing.assert_allclose(scores, wanted, atol=2e-4 * np.abs(wanted).max())


def test_the_dense_transform_equals_brute_force_with_right_gradients():
    torch.manual_seed(0)
    maps = torch.rand(2, 5, 6, dtype=torch.float64, requires_grad=True)
    springs = torch.rand(2, 4, dtype=torch.float64) + 0.1
    springs.requires_grad_()
    wanted = distance_transform_numpy(maps.detach().numpy(), springs.detach().numpy()).values
    np.testing.assert_allclose(dense_transform(maps, springs).detach(), wanted, atol=1e-6)
    assert torch.autograd.gradcheck(dense_transform, (maps, springs))


def test_the_kernel_has_the_gradients_of_the_dense_form():
    torch.manual_seed(0)
    maps, springs, seen = torch.rand(3, 7, 9), torch.rand(3, 4) + 0.1, torch.rand(3, 7, 9)
    found = []
    for transform in (dense_transform, envelope_transform):
        inputs = maps.clone().requires_grad_(), springs.clone().requires_grad_()
        (transform(*inputs) * seen).sum().backward()
        found.append([tensor.grad for tensor in inputs])
    for dense, kernel in zip(*found, strict=True):
        torch.testing.assert_close(dense, kernel, atol=1e-4, rtol=1e-4)


def test_warping_equals_the_device():
    maps, grids = random_slice(1)
    outside = torch.full((1, 15), 0.25)
    warped = warp_maps(torch.from_numpy(maps[:1]), torch.from_numpy(grids[1:2, 0]), outside)
    wanted = warp_heatmaps_numpy(maps[0], grids[1, 0], 0.25)
    np.testing.assert_allclose(warped[0], wanted, atol=1e-5)


def test_springs_stay_convex_and_come_back():
    springs = random_springs(body_graph(JHMDB15))
    passing = MessagePassing(springs)
    np.testing.assert_allclose(passing.springs().spatial_weight, springs.spatial_weight, rtol=1e-5)
    with torch.no_grad():
        passing.spatial.fill_(-1.0)
    assert (passing.springs().spatial[:, ::2] > 0).all()
    passing.clamp()
    assert (passing.spatial[:, ::2] > 0).all()
    assert (passing.springs().spatial[:, ::2] > 0).all()
    assert (passing.springs().spatial[:, 1::2] == -1).all()


def test_end_to_end_the_network_learns_too():
    unary = torch.nn.Conv2d(3, 15, 3, padding=1)
    springs = signed(initial_springs(body_graph(JHMDB15), heatmap_size=SIDE, rounds=1))
    network = SliceNetwork(unary, MessagePassing(springs))
    scores = network.scores(torch.rand(1, 3, 3, SIDE, SIDE), None)
    assert scores.shape == (1, 3, 15, SIDE, SIDE)
    scores.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())
    assert network(torch.rand(2, 3, SIDE, SIDE)).shape == (2, 15, SIDE, SIDE)


class Bending(torch.nn.Module):
    """A unary network that ends in a sigmoid, all of whose cells are nearly 0."""

    def __init__(self):
        super().__init__()
        self.final = torch.nn.Conv2d(3, 15, 1)
        torch.nn.init.constant_(self.final.bias, -9.0)

    def features(self, image):
        return image

    def respond(self, features):
        return self.final(features)

    def forward(self, image):
        return self.respond(self.features(image)).sigmoid()


def test_potentials_of_before_the_sigmoid_do_not_saturate():
    springs = signed(initial_springs(body_graph(JHMDB15), heatmap_size=SIDE, rounds=1))
    frames, slopes = torch.rand(1, 3, 3, SIDE, SIDE), []
    for before in (False, True):
        torch.manual_seed(0)
        network = SliceNetwork(Bending(), MessagePassing(springs), before_sigmoid=before)
        potentials = network.potentials(frames[0])
        torch.testing.assert_close(network.heatmaps(potentials), network(frames[0]))
        network.scores(frames, None).sum().backward()
        slopes.append(network.unary.final.bias.grad.abs().min())
    assert slopes[1] > 100 * slopes[0]


def test_without_a_sigmoid_s_bend_springs_mean_the_same_around_a_half():
    responses = torch.linspace(-0.2, 0.2, 9)
    torch.testing.assert_close(
        linearised_sigmoid(responses), responses.sigmoid(), atol=2e-4, rtol=0
    )
    torch.testing.assert_close(
        sigmoid_of_linearised(linearised_sigmoid(responses)), responses.sigmoid()
    )
