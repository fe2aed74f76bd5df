"""The pose propagation unit as published (PPN, section "PPU"), and the choice between its forms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgepose.models.backbones.blocks import BasicBlock, initialise_convolutions
from edgepose.models.options import from_mapping, require_known
from edgepose.models.ppn.deformable_convolution import deform_conv2d
from edgepose.models.ppn.flow_ppu import FlowPPU
from edgepose_runtime.errors import ConfigError

_KERNEL = 3
_DILATIONS = (3, 6, 12, 18, 24)
FORMS = ("deformable", "flow")


@dataclass(frozen=True)
class PPUConfig:
    """What a propagation unit is made of; the defaults are the reference form.

    The paper gives no widths. 16 channels and 9 blocks cost the published 0.80 (64x64 cells).

    Attributes:
        form: ``deformable`` as published, or ``flow`` for edge devices.
        ppu_channels: width of the features that the offsets are predicted from.
        ppu_blocks: how many residual blocks compute them.
        dilations: one set of offsets each; ``deformable``.
        grid_stride: cells per cell of the grid that the flow is predicted on; ``flow``.
    """

    form: str = "deformable"
    ppu_channels: int = 16
    ppu_blocks: int = 9
    dilations: Sequence[int] = _DILATIONS
    grid_stride: int = 1

    def __post_init__(self) -> None:
        require_known("form of the PPU", self.form, FORMS)
        if self.form == "deformable" and self.grid_stride != 1:
            raise ConfigError("A PPU of form 'deformable' has no grid_stride; leave it out.")
        if self.form == "flow" and tuple(self.dilations) != _DILATIONS:
            raise ConfigError("A PPU of form 'flow' has no dilations; leave them out.")
        if self.ppu_blocks < 1 or not self.dilations:
            raise ConfigError(
                f"A PPU needs at least one block and one dilation; {self.ppu_blocks} blocks and "
                f"the dilations {tuple(self.dilations)} were given."
            )


class PPU(nn.Module):
    """Warp the previous heat-maps to this frame by deformable convolutions (PPN, Eq. 5).

    Residual blocks over the change between the two sets of maps predict, for every dilation,
    offsets of a deformable 3x3 convolution of the previous maps, of their own for each joint; the
    results are added.
    At initialisation the offsets are zero and the kernels share out the identity, so that the
    previous heat-maps come out unchanged.

    Args:
        joints: K.
        channels: width of the features.
        blocks: how many residual blocks compute them, at least one.
        dilations: of the offset and of the deformable convolutions.
    """

    def __init__(
        self,
        joints: int,
        channels: int = 16,
        blocks: int = 9,
        dilations: Sequence[int] = _DILATIONS,
    ) -> None:
        super().__init__()
        self.dilations = tuple(dilations)
        widths = [joints] + [channels] * (blocks - 1)
        self.features = nn.Sequential(*(BasicBlock(width, channels) for width in widths))
        initialise_convolutions(self)
        self.offsets = nn.ModuleList(_offsets(channels, joints, d) for d in dilations)
        self.kernels = nn.ParameterList(
            nn.Parameter(_shared_identity(joints, len(dilations))) for _ in dilations
        )

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return the previous heat-maps as they look in this frame.

        Args:
            preliminary: this frame's heat-maps by the body network, ``(B, K, h, w)``.
            previous: the previous frame's final heat-maps, of the same shape.
        """
        return self.warp(self.features(preliminary - previous), previous)

    def warp(self, features: Tensor, previous: Tensor) -> Tensor:
        """Return the previous heat-maps, moved as their features say."""
        warped = torch.zeros_like(previous)
        for layer, kernel, dilation in zip(self.offsets, self.kernels, self.dilations, strict=True):
            warped = warped + deform_conv2d(previous, layer(features), kernel, dilation)
        return warped


def build_ppu(config: PPUConfig | Mapping[str, Any], joints: int, size: int = 64) -> PPU | FlowPPU:
    """Return the propagation unit that ``config`` describes for maps of ``size`` cells.

    Raises:
        ConfigError: an unknown option, or options that do not fit together.
    """
    if not isinstance(config, PPUConfig):
        config = from_mapping(PPUConfig, "PPU", config)
    shared = (joints, config.ppu_channels, config.ppu_blocks)
    if config.form == "flow":
        return FlowPPU(*shared, config.grid_stride, size)
    return PPU(*shared, config.dilations)


def _offsets(channels: int, joints: int, dilation: int) -> nn.Conv2d:
    outputs = 2 * _KERNEL**2 * joints
    layer = nn.Conv2d(channels, outputs, _KERNEL, 1, dilation, dilation, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


def _shared_identity(joints: int, sharers: int) -> Tensor:
    kernel = torch.zeros(joints, joints, _KERNEL, _KERNEL)
    kernel[:, :, _KERNEL // 2, _KERNEL // 2] = torch.eye(joints) / sharers
    return kernel
