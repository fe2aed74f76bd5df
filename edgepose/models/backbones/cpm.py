"""Convolutional Pose Machine, the published unary network of Thin-Slicing."""

from __future__ import annotations

from torch import Tensor, cat, nn

from edgepose.models.backbones.blocks import initialise_convolutions
from edgepose_runtime.errors import ConfigError

STRIDE = 8
#: Of the weights to heat-maps, which start near 0 as the targets mostly are.
_DEVIATION = 0.001


class CPM(nn.Module):
    """Stages that each refine the heat-maps of the one before.

    Images ``(B, 3, S, S)`` become features ``(B, C, S/8, S/8)`` of the last stage, which a 1x1
    convolution turns into heat-maps. The first stage sees the image alone; each later one sees
    features of the image, shared by all of them, and the heat-maps of the stage before. CPM's
    background channel and centre map are left out.

    Args:
        joints: K, the number of heat-maps that stages hand on.
        stages: 6 in the paper.
        dropout: after the two wide layers of the first stage, in [0, 1).
        largest: side that kernels are cut to; 11 for the published ones.
        deviation: of the weights that are drawn. The published learning rate needs the published
            0.01. With None they are drawn as He et al. do, without which kernels of 3x3 hand
            nothing on.

    Attributes:
        out_channels: C, 128, or 512 for a single stage.
    """

    stride = STRIDE

    def __init__(
        self,
        joints: int,
        stages: int = 6,
        dropout: float = 0.5,
        *,
        largest: int = 11,
        deviation: float | None = 0.01,
    ) -> None:
        super().__init__()
        if joints < 1 or stages < 1 or not 0 <= dropout < 1:
            raise ConfigError(
                "A CPM needs 1 joint and 1 stage or more, and a dropout from 0 to below 1; got "
                f"{joints}, {stages} and {dropout}."
            )
        self.first = nn.Sequential(
            *_trunk(largest),
            *_layer(128, 32, min(5, largest)),
            *_layer(32, 512, min(9, largest)),
            nn.Dropout(dropout),
            *_layer(512, 512, 1),
            nn.Dropout(dropout),
        )
        self.trunk = nn.Sequential(*_trunk(largest)) if stages > 1 else None
        later, look = range(stages - 1), min(5, largest)
        self.looks = nn.ModuleList(nn.Sequential(*_layer(128, 32, look)) for _ in later)
        self.later = nn.ModuleList(_refinement(32 + joints, largest) for _ in later)
        channels = [512, *(128 for _ in later)]
        self.predictors = nn.ModuleList(nn.Conv2d(count, joints, 1) for count in channels[:-1])
        self.out_channels = channels[-1]
        _draw_weights(self, deviation)
        _draw_weights(self.predictors, deviation or _DEVIATION)

    def stages(self, image: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return the heat-maps ``(B, K, S/8, S/8)`` of all stages but the last, and its features.

        Training supervises each of them.
        """
        heatmaps: list[Tensor] = []
        features = self.first(image)
        seen = None if self.trunk is None else self.trunk(image)
        for predict, look, refine in zip(self.predictors, self.looks, self.later, strict=True):
            heatmaps.append(predict(features))
            features = refine(cat([look(seen), heatmaps[-1]], 1))
        return heatmaps, features

    def forward(self, image: Tensor) -> Tensor:
        """Return the features of the last stage."""
        return self.stages(image)[1]


def _draw_weights(module: nn.Module, deviation: float | None) -> None:
    if deviation is None:
        initialise_convolutions(module)
        return
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, std=deviation)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]  # all have one


def _layer(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]


def _trunk(largest: int) -> list[nn.Module]:
    """Features of the image: 128 channels at an eighth of its size."""
    layers: list[nn.Module] = []
    for inputs in (3, 128, 128):
        layers += [*_layer(inputs, 128, min(9, largest)), nn.MaxPool2d(3, 2, 1)]
    return layers


def _refinement(inputs: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        *_layer(inputs, 128, side),
        *_layer(128, 128, side),
        *_layer(128, 128, side),
        *_layer(128, 128, 1),
    )
