"""Convolutional Pose Machine, the published unary network of Thin-Slicing."""

from __future__ import annotations

from torch import Tensor, cat, nn

from edgepose.models.backbones.blocks import unit
from edgepose_runtime.errors import ConfigError

STRIDE = 8


class CPM(nn.Module):
    """Stages that each refine the heat-maps of the one before: (B, 3, S, S) to (B, K, S/8, S/8).

    The first stage sees the image alone; each later one sees features of the image, shared by all
    of them, and the maps before it. CPM's background channel and centre map are left out.

    Args:
        joints: K, the number of heat-maps.
        stages: 6 in the paper.
        dropout: after the two wide layers of the first stage.
        largest: side that kernels are cut to; 11 for the published ones.
    """

    stride = STRIDE

    def __init__(
        self, joints: int, stages: int = 6, dropout: float = 0.5, largest: int = 11
    ) -> None:
        super().__init__()
        if joints < 1 or stages < 1:
            raise ConfigError(f"A CPM needs 1 joint and 1 stage or more; got {joints}, {stages}.")
        self.first = nn.Sequential(
            *_trunk(largest),
            *_layer(128, 32, min(5, largest)),
            *_layer(32, 512, min(9, largest)),
            nn.Dropout(dropout),
            *_layer(512, 512, 1),
            nn.Dropout(dropout),
            nn.Conv2d(512, joints, 1),
        )
        self.trunk = nn.Sequential(*_trunk(largest)) if stages > 1 else None
        later, look = range(stages - 1), min(5, largest)
        self.looks = nn.ModuleList(nn.Sequential(*_layer(128, 32, look)) for _ in later)
        self.later = nn.ModuleList(_refinement(32 + joints, joints, largest) for _ in later)

    def stages(self, image: Tensor) -> list[Tensor]:
        """Return the heat-maps of all stages, each of which is supervised in training."""
        maps = [self.first(image)]
        if self.trunk is not None:
            features = self.trunk(image)
            for look, stage in zip(self.looks, self.later, strict=True):
                maps.append(stage(cat([look(features), maps[-1]], 1)))
        return maps

    def forward(self, image: Tensor) -> Tensor:
        """Return the heat-maps of the last stage."""
        return self.stages(image)[-1]


class SmallCPM(nn.Module):
    """DKD's light CPM: 3x3 kernels only, features in place of the last heat-maps.

    ``(B, 3, S, S)`` to features ``(B, 256, S/8, S/8)``, and by a 1x1 convolution to heat-maps.

    Args:
        joints: K, of the heat-maps that the stages hand on and of the last.
        stages: 6 in the paper, 2 or more.
    """

    stride = STRIDE
    out_channels = 256

    def __init__(self, joints: int, stages: int = 6) -> None:
        super().__init__()
        if stages < 2:
            raise ConfigError(f"A SmallCPM needs 2 stages or more; got {stages}.")
        self.cpm = CPM(joints, stages, largest=3)
        self.cpm.later[-1] = self.cpm.later[-1][:-1]  # type: ignore[index]
        self.widen = unit(128, self.out_channels, 1)
        self.final_layer = nn.Conv2d(self.out_channels, joints, 1)

    def features(self, image: Tensor) -> Tensor:
        """Return what the last 1x1 convolution sees."""
        features: Tensor = self.widen(self.cpm(image))
        return features

    def respond(self, features: Tensor) -> Tensor:
        """Return what the last layer says of `features`, ``(B, K, h, w)``."""
        responses: Tensor = self.final_layer(features)
        return responses

    def activate(self, responses: Tensor) -> Tensor:
        """Return the heat-maps that the responses stand for: themselves."""
        return responses

    def classify(self, features: Tensor) -> Tensor:
        """Return the heat-maps of `features`."""
        return self.activate(self.respond(features))

    def forward(self, image: Tensor) -> Tensor:
        """Return the heat-maps."""
        return self.classify(self.features(image))


def _layer(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    return [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU(inplace=True)]


def _trunk(largest: int) -> list[nn.Module]:
    """Features of the image: 128 channels at an eighth of its size."""
    layers: list[nn.Module] = []
    for inputs in (3, 128, 128):
        layers += [*_layer(inputs, 128, min(9, largest)), nn.MaxPool2d(3, 2, 1)]
    return layers


def _refinement(inputs: int, joints: int, side: int) -> nn.Sequential:
    return nn.Sequential(
        *_layer(inputs, 128, side),
        *_layer(128, 128, side),
        *_layer(128, 128, side),
        *_layer(128, 128, 1),
        nn.Conv2d(128, joints, 1),
    )
