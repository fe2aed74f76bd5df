"""Ways to match kernels that arrive at run time, each from features and kernels to heat-maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models.distillation import KERNEL_SIZE, PoseKernels
from edgepose_converters.matching import match_by_rows

JOINTS, CELLS = 13, 32
SIDE, EDGE = KERNEL_SIZE, KERNEL_SIZE // 2
WIDE = CELLS + 2 * EDGE
Filtering = Callable[[Tensor, Tensor], Tensor]


def grouped_convolution(seen: Tensor, kernels: Tensor) -> Tensor:
    """A convolution whose weights are computed. Groups are fixed, and so the number of samples."""
    channels = seen.shape[1]
    weights = kernels.reshape(channels, 1, SIDE, SIDE)
    return functional.conv2d(seen, weights, padding=EDGE, groups=channels)


def shifted_products(seen: Tensor, kernels: Tensor) -> Tensor:
    """49 shifts, each times one tap of all channels."""
    padded = functional.pad(seen, (EDGE,) * 4)
    found = torch.zeros_like(seen)
    for row in range(SIDE):
        for place in range(SIDE):
            part = padded[:, :, row : row + CELLS, place : place + CELLS]
            found = found + part * kernels[:, :, row : row + 1, place : place + 1]
    return found


def unfolded(seen: Tensor, kernels: Tensor) -> Tensor:
    """49 shifts side by side, and a matrix product for each channel."""
    padded = functional.pad(seen, (EDGE,) * 4)
    parts = [
        padded[:, :, row : row + CELLS, place : place + CELLS].flatten(2)
        for row in range(SIDE)
        for place in range(SIDE)
    ]
    channels = seen.shape[1]
    found = kernels.reshape(-1, channels, 1, SIDE * SIDE) @ torch.stack(parts, 2)
    return found.reshape(-1, channels, CELLS, CELLS)


def banded(seen: Tensor, kernels: Tensor) -> Tensor:
    """A matrix product for each channel, with the rows of its kernel as banded matrices."""
    padded, channels = functional.pad(seen, (EDGE,) * 4), seen.shape[1]
    # Rows of a kernel and enough zeros, repeated and cut a step shorter, shift by one each time.
    row = functional.pad(kernels, (0, WIDE + 1 - SIDE)).unsqueeze(3).expand(-1, -1, -1, CELLS, -1)
    bands = row.reshape(-1, channels, SIDE, CELLS * (WIDE + 1))[..., : CELLS * WIDE]
    found = padded @ bands.reshape(-1, channels, SIDE * CELLS, WIDE).transpose(-1, -2)
    parts = [found[:, :, row : row + CELLS, row * CELLS : (row + 1) * CELLS] for row in range(SIDE)]
    return torch.stack(parts, 2).sum(2)


class Filtered(nn.Module):
    """V, one filter for each channel, U and BN."""

    def __init__(self, memory: PoseKernels, filtering: Filtering) -> None:
        super().__init__()
        self.memory = memory
        self._filtering = filtering

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        """Return the heat-maps."""
        memory = self.memory
        found = self._filtering(memory.v(features), kernels)
        heatmaps: Tensor = memory.norm(memory.u(found))
        return heatmaps


class ByTaps(nn.Module):
    """One matrix product of all taps of all joints with V's features, whose maps are shifted."""

    def __init__(self, memory: PoseKernels) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        """Return the heat-maps."""
        memory, channels = self.memory, kernels.shape[1]
        joints = memory.u.weight[:, :, 0, 0].reshape(1, JOINTS, 1, channels)
        taps = kernels.reshape(-1, 1, channels, SIDE * SIDE).transpose(2, 3) * joints
        filters = taps.reshape(-1, JOINTS * SIDE * SIDE, channels)
        found = (filters @ memory.v(features).flatten(2)).reshape(-1, JOINTS, SIDE, SIDE, CELLS**2)
        maps = found.reshape(-1, JOINTS * SIDE * SIDE, CELLS, CELLS)
        maps = functional.pad(maps, (EDGE,) * 4).reshape(-1, JOINTS, SIDE * SIDE, WIDE, WIDE)
        parts = [
            maps[:, :, row * SIDE + place, row : row + CELLS, place : place + CELLS]
            for row in range(SIDE)
            for place in range(SIDE)
        ]
        heatmaps: Tensor = memory.norm(torch.stack(parts, 2).sum(2))
        return heatmaps


class ByRows(nn.Module):
    """The form that bundles have."""

    def __init__(self, memory: PoseKernels) -> None:
        super().__init__()
        self.memory = memory

    def forward(self, features: Tensor, kernels: Tensor) -> Tensor:
        """Return the heat-maps."""
        return match_by_rows(self.memory, features, kernels)


@dataclass(frozen=True)
class Form:
    """A way to match.

    Attributes:
        name: of its row.
        build: returns the module for U, V and BN.
        samples: how many samples at a time it is for, ``"any"`` or ``"1"``.
        tensorrt: since when TensorRT's parser takes its operators, by its documentation.
    """

    name: str
    build: Callable[[PoseKernels], nn.Module]
    samples: str = "any"
    tensorrt: str = "8"


FORMS = (
    Form(
        "convolution with computed weights",
        lambda memory: Filtered(memory, grouped_convolution),
        samples="1",
        tensorrt="8.6",
    ),
    Form("49 shifted products", lambda memory: Filtered(memory, shifted_products)),
    Form("unfolded, product per channel", lambda memory: Filtered(memory, unfolded)),
    Form("banded, product per channel", lambda memory: Filtered(memory, banded)),
    Form("one product, over taps", ByTaps),
    Form("one product, over rows (exported)", ByRows),
)
