"""Heads that turn backbone features into heat-maps."""

from __future__ import annotations

from torch import Tensor, nn

from edgepose.models.backbones.blocks import initialise_convolutions, unit

_DECONV_CHANNELS = 256
_DEVIATION = 0.001


class Head(nn.Module):
    """A head that ends in a 1x1 convolution, its ``final_layer``."""

    stages: int
    final_layer: nn.Conv2d

    def features(self, features: Tensor) -> Tensor:
        """Return what the last layer sees."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """Return the heat-maps."""
        heatmaps: Tensor = self.final_layer(self.features(features))
        return heatmaps


class PointwiseHead(Head):
    """One 1x1 convolution, for backbones that keep a high resolution.

    ``(B, C, h, w)`` to ``(B, K, h, w)``.

    Args:
        in_channels: C, channels of the features.
        joints: K, the number of heat-maps.
        neck: channels of a 1x1 convolution put first, or None for no neck.
    """

    stages = 0

    def __init__(self, in_channels: int, joints: int, neck: int | None = None) -> None:
        super().__init__()
        self.neck = _neck(in_channels, neck)
        self.final_layer = _final_layer(neck or in_channels, joints)

    def features(self, features: Tensor) -> Tensor:
        """Return what the last layer sees: the backbone's features, or the neck's."""
        found: Tensor = self.neck(features)
        return found


class DeconvHead(Head):
    """Transposed convolutions with SimpleBaselines' parameter names.

    ``(B, C, h, w)`` to ``(B, K, h * 2**stages, w * 2**stages)``: each stage is a transposed 4x4
    convolution of stride 2 to 256 channels, batch norm and ReLU.

    Args:
        in_channels: C, channels of the features.
        joints: K, the number of heat-maps.
        stages: how many times the size doubles.
        neck: channels of a 1x1 convolution put first, or None for no neck.
    """

    def __init__(
        self, in_channels: int, joints: int, stages: int = 3, neck: int | None = None
    ) -> None:
        super().__init__()
        self.stages = stages
        self.neck = _neck(in_channels, neck)
        channels = neck or in_channels
        layers: list[nn.Module] = []
        for _ in range(stages):
            layers += [_deconvolution(channels), nn.BatchNorm2d(_DECONV_CHANNELS), nn.ReLU(True)]
            channels = _DECONV_CHANNELS
        self.deconv_layers = nn.Sequential(*layers)
        self.final_layer = _final_layer(channels, joints)

    def features(self, features: Tensor) -> Tensor:
        """Return what the last layer sees, ``(B, 256, h * 2**stages, w * 2**stages)``."""
        enlarged: Tensor = self.deconv_layers(self.neck(features))
        return enlarged


class DucHead(Head):
    """Dense upsampling convolutions: each doubles the size and halves the channels (PPN).

    ``(B, C, h, w)`` to ``(B, K, h * 2**stages, w * 2**stages)``: each stage is a 3x3 convolution
    to twice the channels, batch norm, ReLU and a pixel shuffle by 2.

    Args:
        in_channels: C, channels of the features.
        joints: K, the number of heat-maps.
        stages: how many times the size doubles.
        neck: channels of a 1x1 convolution put first, or None for no neck.
    """

    def __init__(
        self, in_channels: int, joints: int, stages: int = 3, neck: int | None = None
    ) -> None:
        super().__init__()
        self.stages = stages
        self.neck = _neck(in_channels, neck)
        channels = neck or in_channels
        upsamplers: list[nn.Module] = []
        for _ in range(stages):
            upsamplers.append(nn.Sequential(unit(channels, 2 * channels, 3), nn.PixelShuffle(2)))
            channels //= 2
        self.upsamplers = nn.Sequential(*upsamplers)
        initialise_convolutions(self)
        self.final_layer = _final_layer(channels, joints)

    def features(self, features: Tensor) -> Tensor:
        """Return what the last layer sees: half the channels and twice the size per stage."""
        enlarged: Tensor = self.upsamplers(self.neck(features))
        return enlarged


def _neck(inputs: int, outputs: int | None) -> nn.Module:
    return nn.Identity() if outputs is None else unit(inputs, outputs, 1)


def _deconvolution(inputs: int) -> nn.ConvTranspose2d:
    layer = nn.ConvTranspose2d(inputs, _DECONV_CHANNELS, 4, 2, 1, bias=False)
    nn.init.normal_(layer.weight, std=_DEVIATION)
    return layer


def _final_layer(inputs: int, joints: int) -> nn.Conv2d:
    """Return the 1x1 convolution to heat-maps, started near zero as the targets mostly are."""
    layer = nn.Conv2d(inputs, joints, 1)
    nn.init.normal_(layer.weight, std=_DEVIATION)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a bias is there by default
    return layer
