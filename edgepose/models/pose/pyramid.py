"""A light decoder that merges the features of four resolutions, as feature pyramids do."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import interpolate

from edgepose.models.backbones.blocks import initialise_convolutions

#: Channels of the merged features at strides 32, 16, 8 and 4.
PYRAMID_CHANNELS = (64, 32, 24, 24)
_LAST_CHANNELS = 96
_DEVIATION = 0.001
# Before the sigmoid: maps are mostly empty, as CenterNet's start is.
_EMPTY = -2.2


class PyramidHead(nn.Module):
    """Heat-maps from features at strides 4, 8, 16 and 32.

    The coarsest features are narrowed by a 1x1 convolution, then three times enlarged by two,
    added to the finer ones and filtered by a separable convolution. The form is that of MoveNet
    (a CenterNet on MobileNet-V2), with its sigmoid at the end, and costs an eighth of three DUC.

    Args:
        in_channels: channels of the features, from stride 4 to stride 32.
        joints: K, the number of heat-maps.
    """

    stages = 3

    def __init__(self, in_channels: Sequence[int], joints: int) -> None:
        super().__init__()
        *finer, coarsest = in_channels
        widths = PYRAMID_CHANNELS
        self.reduce = nn.Conv2d(coarsest, widths[0], 1)
        self.laterals = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 1)
            for inputs, outputs in zip(reversed(finer), widths[:3], strict=True)
        )
        self.merges = nn.ModuleList(separable(*pair) for pair in pairwise(widths))
        self.last = separable(widths[-1], _LAST_CHANNELS)
        initialise_convolutions(self)
        self.final_layer = nn.Conv2d(_LAST_CHANNELS, joints, 1)
        nn.init.normal_(self.final_layer.weight, std=_DEVIATION)
        nn.init.constant_(self.final_layer.bias, _EMPTY)  # type: ignore[arg-type]  # is there

    def features(self, levels: Sequence[Tensor]) -> Tensor:
        """Return what the last layer sees, ``(B, 96, H/4, W/4)``.

        Args:
            levels: ``(B, C, H/s, W/s)`` for the strides s of 4, 8, 16 and 32.
        """
        *finer, x = levels
        x = self.reduce(x)
        for level, lateral, merge in zip(reversed(finer), self.laterals, self.merges, strict=True):
            x = interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
            x = merge(x + lateral(level))
        features: Tensor = self.last(x)
        return features

    def activate(self, responses: Tensor) -> Tensor:
        """Return the heat-maps, 0 to 1, that the last layer's responses stand for."""
        return responses.sigmoid()

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Return the heat-maps ``(B, K, H/4, W/4)`` of features as :meth:`features` takes them."""
        return self.activate(self.final_layer(self.features(levels)))


def separable(inputs: int, outputs: int) -> nn.Sequential:
    """Return a depth-wise 3x3 and a 1x1 convolution, batch norm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )
