"""Building blocks of several networks: residual blocks with torchvision's names, upsampling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    """Return a convolution without bias whose padding keeps the size at stride 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)


def unit(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Sequential:
    """Return convolution, batch norm and ReLU."""
    return nn.Sequential(
        convolution(inputs, outputs, kernel, stride),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def initialise_convolutions(module: nn.Module) -> None:
    """Draw the weights of every convolution in ``module`` as He et al. do for ReLU networks."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: ``(B, Cin, H, W)`` to ``(B, C, H/s, W/s)``."""

    expansion = 1

    def __init__(self, inputs: int, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = convolution(inputs, channels, 3, stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(inputs, channels, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu(y + self.downsample(x))
        return out


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 beside a shortcut: ``(B, Cin, H, W)`` to ``(B, 4C, H/s, W/s)``.

    Args:
        inputs: Cin.
        channels: C, the width of the 3x3 convolution.
        stride: s, by which height and width shrink.
        stride_in_1x1: put the stride in the first 1x1 convolution, as weights from Caffe and
            Keras need, and not in the 3x3 one as torchvision does.
    """

    expansion = 4

    def __init__(
        self, inputs: int, channels: int, stride: int = 1, stride_in_1x1: bool = False
    ) -> None:
        super().__init__()
        first, second = (stride, 1) if stride_in_1x1 else (1, stride)
        outputs = channels * self.expansion
        self.conv1 = convolution(inputs, channels, 1, first)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = convolution(channels, channels, 3, second)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = convolution(channels, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu(y + self.downsample(x))
        return out


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Module:
    if inputs == outputs and stride == 1:
        return nn.Identity()
    return nn.Sequential(convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


def enlargement(before: int, after: int) -> Tensor:
    """Return the ``(after, before)`` matrix that enlarges a row of values bilinearly."""
    units = torch.eye(before)[None]
    return functional.interpolate(units, after, mode="linear", align_corners=False)[0].T
