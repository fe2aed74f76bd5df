"""HRNet-W48 features with the authors' parameter names (HRNet, as PPN's HeadNet uses it)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from edgepose.models.backbones.blocks import (
    BasicBlock,
    Bottleneck,
    convolution,
    initialise_convolutions,
    unit,
)

_STEM_CHANNELS = 64
_LAYER1_BLOCKS = 4
_BLOCKS_PER_BRANCH = 4
# How many exchange modules the stages with 2, 3 and 4 branches have.
_MODULES = (1, 4, 3)


class HRNet(nn.Module):
    """HRNet features: float32 ``(B, 3, H, W)`` to ``(B, width, H/4, W/4)``.

    The input is RGB normalised by ImageNet's mean and deviation; H and W are multiples of 32.
    Keys are those of the authors' pose networks without ``final_layer``.
    """

    stride = 4

    def __init__(self, width: int = 48) -> None:
        super().__init__()
        self.out_channels = width
        self.conv1 = convolution(3, _STEM_CHANNELS, 3, 2)
        self.bn1 = nn.BatchNorm2d(_STEM_CHANNELS)
        self.conv2 = convolution(_STEM_CHANNELS, _STEM_CHANNELS, 3, 2)
        self.bn2 = nn.BatchNorm2d(_STEM_CHANNELS)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _bottlenecks(_STEM_CHANNELS, _STEM_CHANNELS, _LAYER1_BLOCKS)
        pyramid = [width * 2**branch for branch in range(4)]
        self.transition1 = _transition([_STEM_CHANNELS * Bottleneck.expansion], pyramid[:2])
        self.stage2 = _stage(pyramid[:2], _MODULES[0])
        self.transition2 = _transition(pyramid[:2], pyramid[:3])
        self.stage3 = _stage(pyramid[:3], _MODULES[1])
        self.transition3 = _transition(pyramid[:3], pyramid)
        self.stage4 = _stage(pyramid, _MODULES[2], only_finest=True)
        initialise_convolutions(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of the finest branch."""
        x = self.relu(self.bn1(self.conv1(image)))
        x = self.relu(self.bn2(self.conv2(x)))
        branches = _apply(self.transition1, [self.layer1(x)])
        branches = _apply(self.transition2, self.stage2(branches))
        branches = _apply(self.transition3, self.stage3(branches))
        finest: Tensor = self.stage4(branches)[0]
        return finest


class ExchangeModule(nn.Module):
    """Branches of residual blocks whose sums are exchanged between all resolutions.

    Takes and returns a list of ``(B, C_b, H / 2**b, W / 2**b)``; ``only_finest`` returns one.
    """

    def __init__(self, channels: Sequence[int], only_finest: bool) -> None:
        super().__init__()
        self.branches = nn.ModuleList(_basic_blocks(width) for width in channels)
        targets = range(1 if only_finest else len(channels))
        self.fuse_layers = nn.ModuleList(
            nn.ModuleList(_exchange(channels, source, target) for source in range(len(channels)))
            for target in targets
        )
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: list[Tensor]) -> list[Tensor]:
        """Return the exchanged features."""
        branches = [branch(x) for branch, x in zip(self.branches, features, strict=True)]
        return [self.relu(reduce(torch.add, _apply(fuse, branches))) for fuse in self.fuse_layers]


def _exchange(channels: Sequence[int], source: int, target: int) -> nn.Module:
    if source == target:
        return nn.Identity()
    if source > target:
        return nn.Sequential(
            convolution(channels[source], channels[target], 1),
            nn.BatchNorm2d(channels[target]),
            nn.Upsample(scale_factor=2 ** (source - target), mode="nearest"),
        )
    steps = [unit(channels[source], channels[source], 3, 2) for _ in range(target - source - 1)]
    # The last step keeps its sign: the sum of all branches goes through the ReLU.
    last = unit(channels[source], channels[target], 3, 2)[:-1]
    return nn.Sequential(*steps, last)


def _stage(channels: Sequence[int], modules: int, only_finest: bool = False) -> nn.Sequential:
    last = modules - 1
    return nn.Sequential(
        *(ExchangeModule(channels, only_finest and index == last) for index in range(modules))
    )


def _transition(before: Sequence[int], after: Sequence[int]) -> nn.ModuleList:
    """Return one module per new branch; a branch that was not there halves the coarsest one."""
    changed = [
        nn.Identity() if old == new else unit(old, new, 3)
        for old, new in zip(before, after, strict=False)
    ]
    added = [nn.Sequential(unit(before[-1], new, 3, 2)) for new in after[len(before) :]]
    return nn.ModuleList([*changed, *added])


def _apply(modules: Any, branches: list[Tensor]) -> list[Tensor]:
    last = len(branches) - 1
    return [module(branches[min(index, last)]) for index, module in enumerate(modules)]


def _basic_blocks(width: int) -> nn.Sequential:
    return nn.Sequential(*(BasicBlock(width, width) for _ in range(_BLOCKS_PER_BRANCH)))


def _bottlenecks(inputs: int, width: int, blocks: int) -> nn.Sequential:
    sizes = [inputs, *[width * Bottleneck.expansion] * blocks]
    return nn.Sequential(*(Bottleneck(before, width) for before, _ in pairwise(sizes)))
