"""CSPNeXt-s, the backbone of RTMDet-s and RTMPose-s, with batch norms folded.

Names are those of MMPose but for the norms: published graphs have them in the convolutions already.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn

# (output channels, blocks, whether features of several reaches are pooled and blocks have no skip)
_STAGES = ((64, 1, False), (128, 2, False), (256, 2, False), (512, 1, True))
_STEM_CHANNELS = (16, 16, 32)
_POOLS = (5, 9, 13)


class CSPNeXt(nn.Module):
    """CSPNeXt of depth 0.33 and width 0.5: float32 ``(B, 3, H, W)`` to ``(B, 512, H/32, W/32)``.

    The input is RGB normalised by ImageNet's mean and deviation; H and W are multiples of 32.

    Args:
        centred: have means that :func:`centre_features` takes out of features.
    """

    out_channels = 512
    stride = 32

    def __init__(self, *, centred: bool = False) -> None:
        super().__init__()
        first, second, channels = _STEM_CHANNELS
        self.stem = nn.Sequential(
            ConvSilu(3, first, 3, 2), ConvSilu(first, second, 3), ConvSilu(second, channels, 3)
        )
        for number, (outputs, blocks, is_last) in enumerate(_STAGES, 1):
            layers: list[nn.Module] = [ConvSilu(channels, outputs, 3, 2)]
            layers += [SpatialPyramidPooling(outputs)] if is_last else []
            layers += [CrossStageLayer(outputs, blocks, skip=not is_last)]
            self.add_module(f"stage{number}", nn.Sequential(*layers))
            channels = outputs
        if centred:
            for layer, _ in _followed_by_1x1(self):
                layer.mean = torch.zeros(layer.conv.out_channels)

    def forward(self, image: Tensor) -> Tensor:
        """Return the last features."""
        x: Tensor = self.stem(image)
        for number in range(1, len(_STAGES) + 1):
            x = self.get_submodule(f"stage{number}")(x)
        return x


class ConvSilu(nn.Module):
    """A convolution with bias and SiLU; with a buffer ``mean``, what that holds is subtracted."""

    mean: Tensor | None

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups)
        self.register_buffer("mean", None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features."""
        y: Tensor = self.conv(x)
        y = y * y.sigmoid()
        return y if self.mean is None else y - self.mean[:, None, None]


class CrossStageLayer(nn.Module):
    """Half of the channels go through blocks, half around them; then each channel is weighed."""

    def __init__(self, channels: int, blocks: int, *, skip: bool) -> None:
        super().__init__()
        half = channels // 2
        self.short_conv = ConvSilu(channels, half)
        self.main_conv = ConvSilu(channels, half)
        self.blocks = nn.Sequential(*(CSPNeXtBlock(half, skip=skip) for _ in range(blocks)))
        self.attention = ChannelAttention(channels)
        self.final_conv = ConvSilu(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        short = self.short_conv(x)
        joined = torch.cat((self.blocks(self.main_conv(x)), short), 1)
        y: Tensor = self.final_conv(self.attention(joined))
        return y


class CSPNeXtBlock(nn.Module):
    """A 3x3 convolution and a separable one of 5x5, with a skip connection or without."""

    def __init__(self, channels: int, *, skip: bool) -> None:
        super().__init__()
        self.has_skip = skip
        self.conv1 = ConvSilu(channels, channels, 3)
        self.conv2 = nn.ModuleDict(
            {
                "depthwise_conv": ConvSilu(channels, channels, 5, groups=channels),
                "pointwise_conv": ConvSilu(channels, channels),
            }
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        y: Tensor = self.conv1(x)
        y = self.conv2["pointwise_conv"](self.conv2["depthwise_conv"](y))
        return x + y if self.has_skip else y


class ChannelAttention(nn.Module):
    """Weigh each channel by what all of them show on average."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the weighed features."""
        return x * nn.functional.hardsigmoid(self.fc(x.mean((2, 3), keepdim=True)))


class SpatialPyramidPooling(nn.Module):
    """Spatial pyramid pooling: maxima of windows of several sizes beside each other."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvSilu(channels, channels // 2)
        self.poolings = nn.ModuleList(nn.MaxPool2d(size, 1, size // 2) for size in _POOLS)
        self.conv2 = ConvSilu(channels // 2 * (len(_POOLS) + 1), channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return features of the same shape."""
        x = self.conv1(x)
        y: Tensor = self.conv2(torch.cat([x, *(pooling(x) for pooling in self.poolings)], 1))
        return y


def centre_features(backbone: CSPNeXt, images: Tensor) -> None:
    """Take the means out of features before 1x1 convolutions, whose biases make up for them.

    What the network computes stays the same. But channels of RTMPose-s stand at 20 and tell by
    hundredths what they see, which bfloat16 rounds away.

    Args:
        backbone: one that has means; changed in place.
        images: network input to take the means from.
    """
    pairs = list(_followed_by_1x1(backbone))
    means: dict[nn.Module, Tensor] = {}

    def note(layer: nn.Module, _: Any, output: Tensor) -> None:
        means[layer] = output.mean((0, 2, 3))

    with ExitStack() as hooks, torch.no_grad():
        for layer, _ in pairs:
            hooks.callback(layer.register_forward_hook(note).remove)
        backbone(images)
        for layer, following in pairs:
            # Behind the poolings each of the features comes several times.
            weight = following.conv.weight.flatten(1).unflatten(1, (-1, layer.conv.out_channels))
            following.conv.bias += weight.sum(1) @ means[layer]
            layer.mean += means[layer]


def _followed_by_1x1(backbone: nn.Module) -> Iterator[tuple[Any, Any]]:
    """Pair the layers that only a 1x1 convolution without padding sees with that one."""
    for module in backbone.modules():
        if isinstance(module, CSPNeXtBlock):
            yield module.conv2["depthwise_conv"], module.conv2["pointwise_conv"]
        elif isinstance(module, SpatialPyramidPooling):
            yield module.conv1, module.conv2
