"""The heat-maps a live tracker remembers: seen in another crop, and sometimes wrong."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgepose.datasets.sampling.targets import TargetSettings


def realign(heatmaps: Tensor, before: Tensor, after: Tensor, settings: TargetSettings) -> Tensor:
    """Resample heat-maps of one crop as those of another: `realign_heatmaps`, differentiable.

    Args:
        heatmaps: (B, K, h, h) in the first crop.
        before: (B, 2, 3) from picture pixels to the first crop's pixels.
        after: the same for the second crop.
        settings: stride and offset of the cells.

    Returns:
        float32 (B, K, h, h) in the second crop, zero where the first shows nothing.
    """
    back = _square(before) @ torch.linalg.inv(_square(after))
    cells, device = heatmaps.shape[-1], heatmaps.device
    axis = torch.arange(cells, dtype=torch.float64, device=device) * settings.stride
    y, x = torch.meshgrid(axis + settings.offset, axis + settings.offset, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1)
    pixels = torch.einsum("bij,hwj->bhwi", back[:, :2], points)
    return sample(heatmaps, ((pixels - settings.offset) / settings.stride).float())


def sample(heatmaps: Tensor, cells: Tensor) -> Tensor:
    """Bilinear values of (B, K, h, h) at (B, h, h, 2) places x, y in cells; zero outside."""
    grid = (cells + 0.5) * (2 / heatmaps.shape[-1]) - 1
    return functional.grid_sample(
        heatmaps.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def _square(matrix: Tensor) -> Tensor:
    full = functional.pad(matrix.double(), (0, 0, 0, 1))
    full[..., 2, 2] = 1.0
    return full
