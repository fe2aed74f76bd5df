"""Ways to match kernels that arrive at run time, each from features and kernels to heat-maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgepose.models.dkd.distillator import PoseKernels
from edgepose_converters.export.dkd_matching import match_by_rows

JOINTS = 13
Filtering = Callable[[Tensor, Tensor], Tensor]


def sizes(seen: Tensor, kernels: Tensor) -> tuple[int, int, int]:
    """Return channels, cells a side, and the side of the kernels, constants in a graph."""
    return int(seen.shape[1]), int(seen.shape[-1]), int(kernels.shape[-1])


def grouped_convolution(seen: Tensor, kernels: Tensor) -> Tensor:
    """A convolution whose weights are computed. Groups are fixed, and so the number of samples."""
    channels, _, side = sizes(seen, kernels)
    weights = kernels.reshape(channels, 1, side, side)
    return functional.conv2d(seen, weights, padding=side // 2, groups=channels)


def windows(seen: Tensor, side: int) -> list[Tensor]:
    """Return what lies under each tap of a kernel, ``(B, C, n, n)``."""
    cells, padded = int(seen.shape[-1]), functional.pad(seen, (side // 2,) * 4)
    places = [(row, place) for row in range(side) for place in range(side)]
    return [padded[:, :, row : row + cells, place : place + cells] for row, place in places]


def shifted_products(seen: Tensor, kernels: Tensor) -> Tensor:
    """One shift for each tap, times that tap of all channels."""
    side = sizes(seen, kernels)[2]
    found = torch.zeros_like(seen)
    for tap, part in enumerate(windows(seen, side)):
        row, place = divmod(tap, side)
        found = found + part * kernels[:, :, row : row + 1, place : place + 1]
    return found


def unfolded(seen: Tensor, kernels: Tensor) -> Tensor:
    """The shifts side by side, and a matrix product for each channel."""
    channels, cells, side = sizes(seen, kernels)
    parts = torch.stack([part.flatten(2) for part in windows(seen, side)], 2)
    found = kernels.reshape(-1, channels, 1, side * side) @ parts
    return found.reshape(-1, channels, cells, cells)


def banded(seen: Tensor, kernels: Tensor) -> Tensor:
    """A matrix product for each channel, with the rows of its kernel as banded matrices."""
    channels, cells, side = sizes(seen, kernels)
    padded, wide = functional.pad(seen, (side // 2,) * 4), cells + side - 1
    # Rows of a kernel and enough zeros, repeated and cut a step shorter, shift by one each time.
    row = functional.pad(kernels, (0, wide + 1 - side)).unsqueeze(3).expand(-1, -1, -1, cells, -1)
    bands = row.reshape(-1, channels, side, cells * (wide + 1))[..., : cells * wide]
    found = padded @ bands.reshape(-1, channels, side * cells, wide).transpose(-1, -2)
    parts = [found[:, :, row : row + cells, row * cells : (row + 1) * cells] for row in range(side)]
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
        memory, (channels, cells, side) = self.memory, sizes(features, kernels)
        taps, edge, wide = side * side, side // 2, cells + side - 1
        joints = memory.u.weight[:, :, 0, 0].reshape(1, JOINTS, 1, channels)
        filters = kernels.reshape(-1, 1, channels, taps).transpose(2, 3) * joints
        found = filters.reshape(-1, JOINTS * taps, channels) @ memory.v(features).flatten(2)
        maps = found.reshape(-1, JOINTS * taps, cells, cells)
        maps = functional.pad(maps, (edge,) * 4).reshape(-1, JOINTS, taps, wide, wide)
        parts = [
            maps[:, :, tap, tap // side :, tap % side :][..., :cells, :cells] for tap in range(taps)
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
    Form("shifted products, one a tap", lambda memory: Filtered(memory, shifted_products)),
    Form("unfolded, product per channel", lambda memory: Filtered(memory, unfolded)),
    Form("banded, product per channel", lambda memory: Filtered(memory, banded)),
    Form("one product, over taps", ByTaps),
    Form("one product, over rows (exported)", ByRows),
)
