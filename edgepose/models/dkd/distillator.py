"""What DKD remembers of a frame, and how it is matched against the next."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models.backbones.blocks import initialise_convolutions
from edgepose_runtime.errors import ConfigError

# Targets are empty but for one small peak, so that maps of deviation 1 would be far off at first.
_FIRST_DEVIATION = 0.1


def correlate(features: Tensor, kernels: Tensor) -> Tensor:
    """Filter every channel of every sample with its own kernel, zeros outside.

    Args:
        features: (B, C, H, W).
        kernels: (B, C, S, S), S odd.

    Returns:
        (B, C, H, W), the cross-correlation of each channel with its kernel.
    """
    batch, channels, height, width = features.shape
    side = kernels.shape[-1]
    # One call filters all samples: a group is a channel of a sample.
    maps = functional.conv2d(
        features.reshape(1, batch * channels, height, width),
        kernels.reshape(batch * channels, 1, side, side),
        padding=side // 2,
        groups=batch * channels,
    )
    return maps.reshape(batch, channels, height, width)


def pooled(maps: Tensor, side: int) -> Tensor:
    """Return means over squares of ``side`` x ``side`` cells: ``(B, C, h / side, w / side)``."""
    return maps if side == 1 else functional.avg_pool2d(maps, side)


def enlarged(maps: Tensor, factor: int) -> Tensor:
    """Return maps with ``factor`` times as many cells a side, bilinear between cells' centres."""
    if factor == 1:
        return maps
    return functional.interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)


def kernel_size(cells: int) -> int:
    """Return the side of the kernels that a grid of ``cells`` x ``cells`` gives; 32 gives 7.

    Raises:
        ConfigError: it would be even, or nothing would be left.
    """
    side = (cells // 2 - 2) // 2
    if side < 1 or side % 2 == 0:
        raise ConfigError(
            f"Features of {cells} cells give kernels of {side}x{side}; an odd size is needed. "
            "Choose an input of 128, 192, 256, 320 or 384 pixels."
        )
    return side


class Distillator(nn.Module):
    """Φ: three 3x3 convolutions and two poolings that make pose kernels.

    ``(B, F + K, n, n)`` to ``(B, C, s, s)``; the last convolution is not padded, so that s is what
    `kernel_size` says of n: 7 of 32 cells.

    Args:
        joints: K.
        features: F, channels of the features.
        channels: C, of the kernels.
    """

    def __init__(self, joints: int, features: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *_layer(features + joints, channels, 1),
            nn.MaxPool2d(2),
            *_layer(channels, channels, 1),
            *_layer(channels, channels, 0),
            nn.MaxPool2d(2),
        )
        initialise_convolutions(self)

    def forward(self, features: Tensor, heatmaps: Tensor) -> Tensor:
        """Return the kernels of features ``(B, F, h, w)`` and heat-maps ``(B, K, h, w)``."""
        kernels: Tensor = self.layers(torch.cat((features, heatmaps), 1))
        return kernels


class PoseKernels(nn.Module):
    """Φ, U, V and BN: ``h' = BN(U · (Φ(f, h) ⋆ V·f'))`` with one kernel per channel.

    Args:
        joints: K.
        features: F, channels of the features.
        channels: C of the kernels; as many as published where it is None.
        pooling: kernels are distilled from, and matched against, means over squares of so many
            cells a side, and what they find is enlarged again; 1 as published.
        narrow: Φ sees V's C channels of the features in place of all F; published without.
    """

    def __init__(
        self,
        joints: int,
        features: int,
        channels: int | None = None,
        pooling: int = 1,
        narrow: bool = False,
    ) -> None:
        super().__init__()
        channels = channels or features
        self.pooling, self.narrow = pooling, narrow
        self.distillator = Distillator(joints, channels if narrow else features, channels)
        self.v = nn.Conv2d(features, channels, 1, bias=False)
        self.u = nn.Conv2d(channels, joints, 1, bias=False)
        self.norm = _norm(joints)

    def project(self, features: Tensor) -> Tensor:
        """Return what there is to distil from and to match, of features ``(B, F, h, w)``.

        ``(B, F, h / pooling, w / pooling)``, or C channels where they are ``narrow``.
        """
        seen = pooled(features, self.pooling)
        return self.v(seen) if self.narrow else seen

    def distil(self, seen: Tensor, heatmaps: Tensor, _: Tensor | None = None) -> Tensor:
        """Return the kernels ``(B, C, s, s)``; what was remembered before plays no part."""
        kernels: Tensor = self.distillator(seen, pooled(heatmaps, self.pooling))
        return kernels

    def respond(self, seen: Tensor, kernels: Tensor) -> Tensor:
        """Return the responses of the kernels, ``(B, C, h / pooling, w / pooling)``."""
        return correlate(seen if self.narrow else self.v(seen), kernels)

    def match(self, seen: Tensor, kernels: Tensor) -> Tensor:
        """Return the heat-maps ``(B, K, h, w)`` of what is seen of this frame."""
        return enlarged(self.norm(self.u(self.respond(seen, kernels))), self.pooling)


class ConvLstm(nn.Module):
    """The ablation with a convolutional LSTM in place of Φ.

    What is remembered is hidden state and cell, ``(B, 2C, h / pooling, w / pooling)`` in one
    tensor.

    Args:
        joints: K.
        features: F, channels of the features.
        channels: C, of the hidden state; as many as the features have where it is None.
        pooling: see `PoseKernels`.
    """

    def __init__(
        self, joints: int, features: int, channels: int | None = None, pooling: int = 1
    ) -> None:
        super().__init__()
        channels = channels or features
        self.channels, self.pooling = channels, pooling
        self.gates = nn.Conv2d(features + joints + channels, 4 * channels, 3, padding=1)
        self.v = nn.Conv2d(features + channels, channels, 1, bias=False)
        self.u = nn.Conv2d(channels, joints, 1, bias=False)
        self.norm = _norm(joints)

    def project(self, features: Tensor) -> Tensor:
        """Return what there is to learn from, ``(B, F, h / pooling, w / pooling)``."""
        return pooled(features, self.pooling)

    def distil(self, seen: Tensor, heatmaps: Tensor, state: Tensor | None = None) -> Tensor:
        """Return the new state from this frame and the state before, None for an empty one."""
        if state is None:
            state = seen[:, :1].repeat(1, 2 * self.channels, 1, 1) * 0
        hidden, cell = state.chunk(2, 1)
        maps = pooled(heatmaps, self.pooling)
        gates = self.gates(torch.cat((seen, maps, hidden), 1)).chunk(4, 1)
        keep, write, show = (torch.sigmoid(gate) for gate in gates[:3])
        cell = keep * cell + write * torch.tanh(gates[3])
        return torch.cat((show * torch.tanh(cell), cell), 1)

    def match(self, seen: Tensor, state: Tensor) -> Tensor:
        """Return the heat-maps ``(B, K, h, w)`` of what is seen of this frame."""
        mixed = self.v(torch.cat((seen, state.chunk(2, 1)[0]), 1))
        return enlarged(self.norm(self.u(torch.relu(mixed))), self.pooling)


def _layer(inputs: int, outputs: int, padding: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, 3, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _norm(joints: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(joints)
    nn.init.constant_(norm.weight, _FIRST_DEVIATION)
    return norm
