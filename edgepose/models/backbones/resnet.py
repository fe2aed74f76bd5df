"""ResNet-18, 34, 50 and 101 features with torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from edgepose.models.backbones.blocks import (
    BasicBlock,
    Bottleneck,
    convolution,
    initialise_convolutions,
)
from edgepose_runtime.errors import ConfigError

_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3)}
_FIRST_WITH_BOTTLENECKS = 50
_WIDTHS = (64, 128, 256, 512)


class ResNet(nn.Module):
    """ResNet features: float32 ``(B, 3, H, W)`` to ``(B, C, H/32, W/32)``.

    C is 512 for 18 and 34 layers, 2048 for 50 and 101. The input is RGB normalised by ImageNet's
    mean and deviation; H and W are multiples of 32. Keys are torchvision's without ``fc``.

    Args:
        depth: 18, 34, 50 or 101.
        stride_in_1x1: put the bottlenecks' stride in their first 1x1 convolution, as weights
            from Caffe and Keras need.

    Raises:
        ConfigError: another depth, or ``stride_in_1x1`` for a network without bottlenecks.
    """

    stride = 32

    def __init__(self, depth: int, stride_in_1x1: bool = False) -> None:
        super().__init__()
        self.depth, self.stride_in_1x1 = depth, stride_in_1x1
        block = _block(depth, stride_in_1x1)
        self._channels = _WIDTHS[0]
        self.conv1 = convolution(3, self._channels, 7, 2)
        self.bn1 = nn.BatchNorm2d(self._channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for index, (width, blocks) in enumerate(zip(_WIDTHS, _BLOCKS[depth], strict=True)):
            self.add_module(f"layer{index + 1}", self._layer(block, width, blocks, index))
        self.out_channels = self._channels
        initialise_convolutions(self)

    def _layer(
        self, block: Callable[..., nn.Module], width: int, blocks: int, index: int
    ) -> nn.Sequential:
        layers = []
        for position in range(blocks):
            stride = 2 if index > 0 and position == 0 else 1
            layers.append(block(self._channels, width, stride))
            self._channels = width * int(layers[-1].expansion)  # type: ignore[arg-type]
        return nn.Sequential(*layers)

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of ``layer4``."""
        x: Tensor = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        for name in ("layer1", "layer2", "layer3", "layer4"):
            x = self.get_submodule(name)(x)
        return x


def _block(depth: int, stride_in_1x1: bool) -> Callable[..., nn.Module]:
    if depth not in _BLOCKS:
        raise ConfigError(f"There is no ResNet of {depth} layers; choose 18, 34, 50 or 101.")
    if depth >= _FIRST_WITH_BOTTLENECKS:
        return partial(Bottleneck, stride_in_1x1=stride_in_1x1)
    if stride_in_1x1:
        raise ConfigError(
            f"ResNet-{depth} has no 1x1 convolution to put the stride in; "
            "leave stride_in_1x1 off, or choose 50 or 101 layers."
        )
    return BasicBlock
