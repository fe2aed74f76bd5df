"""MobileNet-V2 of width 1 with torchvision's parameter names."""

from __future__ import annotations

from torch import Tensor, nn

from edgepose.models.blocks import initialise_convolutions

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


def _convolution(
    inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    """Expand by a 1x1, filter each channel by a 3x3, project linearly by a 1x1."""

    def __init__(self, inputs: int, outputs: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.has_skip = stride == 1 and inputs == outputs
        layers: list[nn.Module] = [_convolution(inputs, hidden)] if expansion != 1 else []
        layers += [
            _convolution(hidden, hidden, 3, stride, groups=hidden),
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
    """

    out_channels = _LAST_CHANNELS
    stride = 32

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [_convolution(3, _STEM_CHANNELS, 3, 2)]
        channels = _STEM_CHANNELS
        for expansion, outputs, blocks, stride in _STAGES:
            for index in range(blocks):
                first_stride = stride if index == 0 else 1
                layers.append(InvertedResidual(channels, outputs, first_stride, expansion))
                channels = outputs
        layers.append(_convolution(channels, _LAST_CHANNELS))
        self.features = nn.Sequential(*layers)
        initialise_convolutions(self)

    def forward(self, image: Tensor) -> Tensor:
        """Return the last features, after their 1x1 convolution."""
        features: Tensor = self.features(image)
        return features


class MobileNetV2Classifier(MobileNetV2):
    """The ImageNet form, so that a published file loads strictly: ``(B, 3, H, W)`` to logits."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(_LAST_CHANNELS, classes))

    def forward(self, image: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.classifier(super().forward(image).mean((2, 3)))
        return logits
