"""The heat-maps a live tracker remembers: seen in another crop, and sometimes wrong."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from edgepose.training.config import TrainConfig
from edgepose_runtime.skeletons import Skeleton


def grid_between(matrix: Tensor, t: int, cells: int, config: TrainConfig) -> Tensor:
    """Where each cell of frame t's heat-maps lies in those of frame t − 1.

    Args:
        matrix: (B, T, 2, 3) from picture pixels to crop pixels.
        t: the later frame.
        cells: the side of the heat-maps.
        config: gives stride and offset.

    Returns:
        (B, cells, cells, 2) in `grid_sample`'s normalised coordinates (``align_corners=False``).
    """
    full = functional.pad(matrix.double(), (0, 0, 0, 1))
    full[..., 2, 2] = 1.0
    back = full[:, t - 1] @ torch.linalg.inv(full[:, t])
    stride, offset = config.targets.stride, config.targets.offset
    axis = torch.arange(cells, dtype=torch.float64, device=matrix.device) * stride + offset
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    points = torch.stack([x, y, torch.ones_like(x)], -1)
    pixels = torch.einsum("bij,hwj->bhwi", back, points)[..., :2]
    return (((pixels - offset) / stride + 0.5) * 2 / cells - 1).float()


def resample(heatmaps: Tensor, grid: Tensor) -> Tensor:
    """Bilinear sampling, zero outside: (B, K, h, w) by (B, h, w, 2)."""
    return functional.grid_sample(
        heatmaps.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False
    )


def corrupt(heatmaps: Tensor, probability: float, skeleton: Skeleton) -> Tensor:
    """Spoil some samples' maps: shift all, mirror sides, drop joints, or take another sample's.

    Args:
        heatmaps: (B, K, h, w); the gradient flows through untouched samples.
        probability: share of samples spoiled, in [0, 1].
        skeleton: names left and right.
    """
    if not probability:
        return heatmaps
    out = []
    for i, maps in enumerate(heatmaps):
        if torch.rand(()) >= probability:
            out.append(maps)
            continue
        kind = int(torch.randint(5, ()))
        if kind == 0:
            shift = torch.randint(-10, 11, (2,)).tolist()
            out.append(torch.roll(maps, shift, (-2, -1)))
        elif kind == 1:
            out.append(maps[list(skeleton.flip_order)])
        elif kind == 2:
            keep = (torch.rand(len(maps), device=maps.device) > 0.4).float()
            out.append(maps * keep[:, None, None])
        elif kind == 3:
            out.append(heatmaps[i - 1].detach())
        else:
            out.append(torch.zeros_like(maps))
    return torch.stack(out)
