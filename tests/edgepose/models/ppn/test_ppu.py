from __future__ import annotations

import pytest
import torch

from edgepose.models import PPU, FlowPPU, build_ppu, count_macs
from edgepose.models.complexity import GIMAC
from edgepose_runtime.errors import ConfigError


def maps(joints=13, size=16, batch=2):
    torch.manual_seed(size)
    return torch.rand(batch, joints, size, size), torch.rand(batch, joints, size, size)


def cost_per_cell(**options):
    cells = torch.zeros(1, 13, 4, 4)
    return count_macs(build_ppu(options, 13), cells, cells) / 4**2


@pytest.mark.parametrize("joints", [13, 15, 16])
def test_returns_the_previous_maps_at_initialisation(joints):
    preliminary, previous = maps(joints)
    with torch.no_grad():
        propagated = PPU(joints).eval()(preliminary, previous)
    # Five fifths of a float32 may miss the whole by its last bit; borders are no exception.
    torch.testing.assert_close(propagated, previous, rtol=2**-23, atol=0)


def test_costs_the_published_operations():
    assert cost_per_cell() == 209_728
    assert cost_per_cell() * 64**2 / GIMAC == pytest.approx(0.8, abs=5e-4)
    assert cost_per_cell() * 32**2 / GIMAC == pytest.approx(0.2, abs=5e-4)


def test_pose_warpers_own_width_costs_far_more():
    gmac = cost_per_cell(ppu_channels=128, ppu_blocks=20) * 64**2 / 1e9
    assert gmac == pytest.approx(29.1, abs=0.1)


def test_offsets_move_a_joints_map_towards_where_they_point():
    ppu = PPU(2, channels=4, blocks=1, dilations=(3,)).eval()
    preliminary, previous = maps(2)
    moves = torch.zeros(2, 2, 9, 2, 16, 16)
    moves[:, 0, :, 1] = 5.0  # first joint, all taps, dx
    ppu.offsets[0] = Fixed(moves.flatten(1, 3))
    with torch.no_grad():
        out = ppu(preliminary, previous)
    torch.testing.assert_close(out[:, 0, :, :11], previous[:, 0, :, 5:])
    torch.testing.assert_close(out[:, 1], previous[:, 1])


def test_gradients_reach_every_parameter_but_idle_ones():
    ppu = PPU(3, channels=4, blocks=1, dilations=(1, 2))
    ppu(*maps(3)).square().sum().backward()
    assert all(layer.weight.grad.any() for layer in ppu.offsets)
    assert all(kernel.grad.any() for kernel in ppu.kernels)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "warp"}, "no form of the PPU 'warp'"),
        ({"channels": 16}, "no PPU option 'channels'"),
        ({"form": "flow", "dilations": (1, 3)}, "'flow' has no dilations"),
        ({"form": "flow", "grid_stride": 5}, "stride of 5 does not divide heat-maps of 64 cells"),
        ({"grid_stride": 2}, "'deformable' has no grid_stride"),
        ({"ppu_blocks": 0}, "at least one block"),
        ({"dilations": ()}, "at least one block and one dilation"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        build_ppu(options, 13)


def test_the_edge_form_is_built_by_name():
    ppu = build_ppu({"form": "flow", "grid_stride": 4}, 13, size=32)
    assert isinstance(ppu, FlowPPU)
    assert ppu.grid_size == 8


class Fixed(torch.nn.Module):
    """Says the same whatever it is asked."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def forward(self, _):
        return self.answer
