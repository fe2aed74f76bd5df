"""MobileNet-V2 of width 1 with torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from edgepose.models.backbones.blocks import initialise_convolutions

# (expansion, output channels, blocks, stride of the first block)
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32
_LAST_CHANNELS = 1280
# The last layers of strides 4, 8, 16 and 32 that a pyramid looks at, and their channels. At stride
# 16 it is the last of 64 channels, as in MoveNet.
LEVEL_LAYERS = {3: 24, 6: 32, 10: 64, 18: _LAST_CHANNELS}


def _convolution(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    after: bool = False,
) -> nn.Sequential:
    kind, padding = (SameConv2d, 0) if after and stride == 2 else (nn.Conv2d, kernel // 2)
    return nn.Sequential(
        kind(inputs, outputs, kernel, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class SameConv2d(nn.Conv2d):
    """A 3x3 convolution of stride 2 padded right and below only: TensorFlow's SAME, even sizes."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the features, half as wide and high."""
        if torch.onnx.is_in_onnx_export():
            padded: Any = _PaddedConvolution
            y: Tensor = padded.apply(x, self.weight, self.bias, self.groups)
            return y
        return super().forward(pad(x, (0, 1, 0, 1)))


class _PaddedConvolution(torch.autograd.Function):
    """The same as one ONNX node: quantisers and runtimes look for Conv, not for Pad and Conv."""

    @staticmethod
    def forward(_: Any, x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        return conv2d(pad(x, (0, 1, 0, 1)), weight, bias, 2, groups=groups)

    @staticmethod
    def symbolic(g: Any, x: Any, weight: Any, bias: Any, groups: int) -> Any:
        inputs = [x, weight] if bias is None else [x, weight, bias]
        shape = {"kernel_shape_i": [3, 3], "strides_i": [2, 2], "pads_i": [0, 0, 1, 1]}
        return g.op("Conv", *inputs, group_i=groups, **shape)


class InvertedResidual(nn.Module):
    """Expand by a 1x1, filter each channel by a 3x3, project linearly by a 1x1.

    Args:
        inputs, outputs: channels.
        stride: of the 3x3 convolution, 1 or 2.
        expansion: by which the 1x1 widens; 1 leaves it out.
        pad_after: see `MobileNetV2`.
    """

    def __init__(
        self, inputs: int, outputs: int, stride: int, expansion: int, pad_after: bool = False
    ) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.has_skip = stride == 1 and inputs == outputs
        layers: list[nn.Module] = [_convolution(inputs, hidden)] if expansion != 1 else []
        layers += [
            _convolution(hidden, hidden, 3, stride, hidden, pad_after),
            nn.Conv2d(hidden, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """Return the block's features."""
        y: Tensor = self.conv(x)
        return x + y if self.has_skip else y


class MobileNetV2(nn.Module):
    """MobileNet-V2 features: float32 ``(B, 3, H, W)`` to ``(B, 1280, H/32, W/32)``.

    The input is RGB normalised by ImageNet's mean and deviation; H and W are multiples of 32.
    Keys are torchvision's (``features.0.0.weight`` and so on) without the classifier's.

    Args:
        pad_after: pad convolutions of stride 2 right and below only, as TensorFlow does: for
            weights that were trained there. Torchvision pads on all sides.
    """

    out_channels = _LAST_CHANNELS
    stride = 32
    level_channels = tuple(LEVEL_LAYERS.values())

    def __init__(self, pad_after: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, _STEM_CHANNELS, 3, 2, after=pad_after)]
        channels = _STEM_CHANNELS
        for expansion, outputs, blocks, stride in _STAGES:
            for index in range(blocks):
                first = stride if index == 0 else 1
                layers.append(InvertedResidual(channels, outputs, first, expansion, pad_after))
                channels = outputs
        layers.append(_convolution(channels, _LAST_CHANNELS))
        self.features = nn.Sequential(*layers)
        #: Computes the levels that the first layers give, where they do not learn.
        self.front: Callable[[Tensor], Sequence[Tensor]] | None = None
        self.front_layers = 0
        initialise_convolutions(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the last features, after their 1x1 convolution."""
        features: Tensor = self.features(image)
        return features

    def levels(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return features of ``level_channels`` at strides 4, 8, 16 and 32."""
        found = [] if self.front is None else list(self.front(image))
        x = found[-1] if found else image
        for index, layer in enumerate(self.features):
            if index < self.front_layers:
                continue
            x = layer(x)
            if index in LEVEL_LAYERS:
                found.append(x)
        return tuple(found)


class MobileNetV2Classifier(MobileNetV2):
    """The ImageNet form, so that a published file loads strictly: ``(B, 3, H, W)`` to logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_LAST_CHANNELS, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(super().forward(image).mean((2, 3)))
        return logits
