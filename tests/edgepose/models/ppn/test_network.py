from __future__ import annotations

from functools import cache

import pytest
import torch
from torch import nn

from edgepose.models import PPN, PPN_CONFIGS, FlowPPU, build_ppn, count_macs
from edgepose.models.complexity import GIMAC
from edgepose.models.ppn.configs import ppn_config
from edgepose_runtime.errors import ConfigError


class Scaled(nn.Module):
    """Stands for a network: K equal heat-maps that are the first channel times a factor."""

    def __init__(self, factor, joints=2):
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(float(factor)))
        self.joints = joints

    def forward(self, image):
        return (self.factor * image[:, :1, ::4, ::4]).expand(-1, self.joints, -1, -1)


class Keep(nn.Module):
    """Stands for a PPU that has not learnt anything yet."""

    def forward(self, _, previous):
        return previous


@pytest.fixture
def clip():
    torch.manual_seed(0)
    return torch.rand(2, 3, 3, 16, 16)


def test_every_frame_adds_its_maps_to_the_propagated_ones(clip):
    head, final, preliminary = PPN(Scaled(10), Scaled(1), Keep())(clip)
    assert head.shape == (2, 2, 4, 4)
    assert final.shape == preliminary.shape == (2, 3, 2, 4, 4)
    torch.testing.assert_close(head, 10 * preliminary[:, 0])
    torch.testing.assert_close(final, head[:, None] + preliminary.cumsum(1))


def test_a_clip_is_its_steps(clip):
    network = PPN(Scaled(10), Scaled(1), Keep())
    _, final, preliminary = network(clip)
    previous = network.initialise(clip[:, 0])
    for t in range(3):
        previous, body = network.step(clip[:, t], previous)
        torch.testing.assert_close(previous, final[:, t])
        torch.testing.assert_close(body, preliminary[:, t])


def test_without_skip_only_the_propagated_maps_remain(clip):
    head, final, _ = PPN(Scaled(10), Scaled(1), Keep(), skip=False)(clip)
    torch.testing.assert_close(final, head[:, None].expand(-1, 3, -1, -1, -1))


def test_without_head_the_body_starts(clip):
    head, _, preliminary = PPN(None, Scaled(1), Keep())(clip)
    torch.testing.assert_close(head, preliminary[:, 0])


def test_previous_maps_are_realigned_before_every_frame_but_the_first(clip):
    seen = []

    def realign(previous, t):
        seen.append(t)
        return 0 * previous

    _, final, preliminary = PPN(Scaled(10), Scaled(1), Keep())(clip, realign=realign)
    assert seen == [1, 2]
    torch.testing.assert_close(final[:, 1:], preliminary[:, 1:])


def test_gradients_go_back_through_time(clip):
    network = PPN(Scaled(10), Scaled(1), Keep())
    network(clip)[1][:, -1].sum().backward()
    assert network.head.factor.grad != 0
    torch.testing.assert_close(network.body.factor.grad, 2 * clip[:, :, 0, ::4, ::4].sum())


def on_meta(config, joints=13):
    side = ppn_config(config).input_size
    with torch.device("meta"):
        return build_ppn(config, joints), torch.zeros(1, 3, side, side)


named_on_meta = cache(on_meta)


@pytest.mark.parametrize("joints", [13, 15, 16])
def test_the_shipped_variant_steps(joints):
    network, image = on_meta("ppn-swift", joints)
    heatmaps, preliminary = network.step(image, network.initialise(image))
    assert heatmaps.shape == preliminary.shape == (1, joints, 48, 48)


@pytest.mark.parametrize("name", [name for name in PPN_CONFIGS if "no-skip" not in name])
def test_head_and_body_of_named_variants_fit(name):
    network, image = named_on_meta(name)
    side = PPN_CONFIGS[name].input_size // (8 if "stride8" in name else 4)
    assert network.initialise(image).shape == network.body(image).shape == (1, 13, side, side)


def test_each_published_variant_is_there_without_its_skip_connection():
    ours = ("ppn-swift", "ppn-stable")
    published = [name for name in PPN_CONFIGS if name not in ours and "no-skip" not in name]
    assert len(published) == 9
    assert all(PPN_CONFIGS[name].skip for name in published)
    assert not any(PPN_CONFIGS[f"{name}-no-skip"].skip for name in published)


@pytest.mark.parametrize(
    ("name", "published"), [("ppn-stable-published", 3.87), ("ppn-swift-published", 1.39)]
)
def test_a_step_costs_the_published_operations(name, published):
    network, image = named_on_meta(name)
    cells = torch.zeros(1, 13, 64, 64, device="meta")
    step = count_macs(network.body, image, transposed="output") + count_macs(
        network.ppu, cells, cells
    )
    assert step / GIMAC == pytest.approx(published, abs=0.01)


def test_a_configuration_can_start_from_a_named_one():
    network, _ = on_meta({"base": "ppn-swift", "head": None, "ppu": {"form": "flow"}})
    assert network.head is None
    assert isinstance(network.ppu, FlowPPU)
    assert network.ppu.grid_size == 48


def test_a_configuration_can_be_written_out():
    body = {"backbone": "mobilenet_v2", "neck": 256}
    network, image = on_meta({"body": body, "skip": False, "input_size": 128}, 15)
    assert not network.skip
    assert network.initialise(image).shape == (1, 15, 32, 32)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("ppn-fast", "no PPN 'ppn-fast'"),
        ({"base": "ppn-fast"}, "no PPN 'ppn-fast'"),
        ({"base": "ppn-swift", "bodies": 1}, "no PPN option 'bodies'"),
        ({}, "needs 'body'"),
        (
            {"base": "ppn-swift", "head": {"backbone": "resnet18", "stages": 2}},
            "head's heat-maps have stride 8, the body's 4",
        ),
        ({"base": "ppn-swift", "skip": False}, "'flow' needs the skip connection"),
    ],
)
def test_wrong_configurations_are_named(config, message):
    with pytest.raises(ConfigError, match=message), torch.device("meta"):
        build_ppn(config, 13)
