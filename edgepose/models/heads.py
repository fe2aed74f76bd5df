"""Heads that turn backbone features into heat-maps."""

from __future__ import annotations

from torch import Tensor, nn

_FINAL_DEVIATION = 0.001


def _final_layer(inputs: int, joints: int) -> nn.Conv2d:
    """Return the 1x1 convolution to heat-maps, started near zero as the targets mostly are."""
    layer = nn.Conv2d(inputs, joints, 1)
    nn.init.normal_(layer.weight, std=_FINAL_DEVIATION)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # a bias is there by default
    return layer


class PointwiseHead(nn.Module):
    """One 1x1 convolution, for backbones that keep a high resolution: ``(B, C, h, w)`` to K."""

    stages = 0

    def __init__(self, in_channels: int, joints: int) -> None:
        super().__init__()
        self.final_layer = _final_layer(in_channels, joints)

    def forward(self, features: Tensor) -> Tensor:
        heatmaps: Tensor = self.final_layer(features)
        return heatmaps


class DucHead(nn.Module):
    """Dense upsampling convolutions: each doubles the size and halves the channels.

    ``(B, C, h, w)`` to ``(B, K, h * 2**stages, w * 2**stages)``. One stage is a 3x3 convolution
    Cin to 2*Cin, batch norm, ReLU and a pixel shuffle by 2 (PPN, section "DUC").

    Args:
        in_channels: channels of the features.
        joints: K, the number of heat-maps.
        stages: how many times the size doubles.
        neck: channels of a 1x1 convolution put first, or None for no neck.
    """

    def __init__(
        self, in_channels: int, joints: int, stages: int = 3, neck: int | None = None
    ) -> None:
        super().__init__()
        self.stages = stages
        channels = in_channels if neck is None else neck
        self.neck = nn.Identity() if neck is None else _unit(in_channels, neck, 1)
        upsamplers: list[nn.Module] = []
        for _ in range(stages):
            upsamplers.append(nn.Sequential(_unit(channels, 2 * channels, 3), nn.PixelShuffle(2)))
            channels //= 2
        self.upsamplers = nn.Sequential(*upsamplers)
        self.final_layer = _final_layer(channels, joints)

    def forward(self, features: Tensor) -> Tensor:
        heatmaps: Tensor = self.final_layer(self.upsamplers(self.neck(features)))
        return heatmaps


def _unit(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
