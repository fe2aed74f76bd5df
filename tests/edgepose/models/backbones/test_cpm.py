"""The Convolutional Pose Machine: shapes, operations, and what each stage hands to the next."""

from __future__ import annotations

import pytest
import torch

from edgepose.models import CPM, build_network, count_macs
from edgepose.models.pose.network import NetworkConfig
from edgepose_runtime.errors import ConfigError


def meta(joints, **options):
    with torch.device("meta"):
        network = build_network(NetworkConfig("cpm", head="pointwise", **options), joints)
        return network, torch.empty(1, 3, 368, 368)


@pytest.mark.parametrize("joints", [13, 15, 16])
def test_an_eighth_of_368_is_46(joints):
    network, image = meta(joints)
    assert [tuple(maps.shape) for maps in network.supervised(image)] == [(1, joints, 46, 46)] * 6


def test_operations_are_the_published_ones():
    macs = [count_macs(*meta(15, cpm_stages=stages)) for stages in (5, 6)]
    centre_map = 5 * 11**2 * 128 * 46**2  # which is left out here
    assert (macs[1] + centre_map) / 1e9 == pytest.approx(175.4, abs=0.05)
    assert (macs[1] - macs[0]) / 1e9 == pytest.approx(10.2, abs=0.1)


def small(stages):
    torch.manual_seed(0)
    backbone = CPM(13, stages, largest=3).eval()
    return backbone, torch.rand(1, 3, 64, 64)


def test_a_stage_sees_the_heatmaps_of_the_one_before():
    backbone, image = small(2)
    features = backbone(image)
    torch.nn.init.constant_(backbone.predictors[0].bias, 3.0)
    assert not torch.allclose(backbone(image), features)


def test_every_stage_learns_from_a_loss_of_its_own():
    network = build_network({"backbone": "small_cpm", "head": "pointwise", "cpm_stages": 3}, 13)
    maps = network.supervised(torch.rand(1, 3, 64, 64))
    assert len(maps) == 3
    maps[0].sum().backward()
    assert network.backbone.first[0].weight.grad is not None
    assert network.backbone.later[0][0].weight.grad is None


def test_the_answer_is_the_last_of_what_is_supervised():
    network = build_network({"backbone": "small_cpm", "head": "pointwise"}, 13).eval()
    image = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(network(image), network.supervised(image)[-1])


def test_a_single_stage_sees_the_image_alone():
    backbone, image = small(1)
    assert backbone(image).shape == (1, 512, 8, 8)
    assert backbone.stages(image)[0] == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbone": "cpm", "head": "duc"}, "give it a pointwise head; got 'duc'"),
        ({"backbone": "resnet18", "cpm_stages": 3}, "for CPMs; the backbone is 'resnet18'"),
        ({"backbone": "resnet18", "dropout": 0.7}, "for CPMs; the backbone is 'resnet18'"),
        ({"backbone": "cpm", "head": "pointwise", "cpm_stages": 0}, "got 13, 0 and 0.5"),
        ({"backbone": "cpm", "head": "pointwise", "dropout": 1.0}, "got 13, 6 and 1.0"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(ConfigError, match=words), torch.device("meta"):
        build_network(options, 13)
