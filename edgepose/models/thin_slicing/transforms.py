"""How scores travel in Thin-Slicing, in PyTorch: along springs, and along optical flow."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgepose_runtime.thin_slicing.distance import distance_transform_with_winners

#: Sends maps (N, h, w) along springs (N, 4); see :func:`dense_transform`.
Transform = Callable[[Tensor, Tensor], Tensor]


def dense_transform(maps: Tensor, springs: Tensor) -> Tensor:
    """Send maps along springs by trying every sender; autograd does the rest.

    Args:
        maps: (N, h, w) scores.
        springs: (N, 4) a_x, b_x, a_y, b_y over receiver minus sender; see
            :func:`edgepose_runtime.thin_slicing.distance.distance_transform`.

    Returns:
        (N, h, w): out(p) = max_q maps(q) - a_x dx^2 - b_x dx - a_y dy^2 - b_y dy.
    """
    ax, bx, ay, by = (column[:, None, None] for column in springs.unbind(-1))
    height, width = maps.shape[-2:]
    half = _dense_line(maps.mT, ay, by, height).mT
    return _dense_line(half, ax, bx, width)


def _dense_line(scores: Tensor, a: Tensor, b: Tensor, length: int) -> Tensor:
    """Transform the last axis of (N, m, n); a and b are (N, 1, 1)."""
    cells = torch.arange(length, device=scores.device, dtype=scores.dtype)
    distance = cells[:, None] - cells  # receiver, sender
    cost = a * distance**2 + b * distance
    return (scores[:, :, None] - cost[:, None]).amax(-1)


class EnvelopeTransform(torch.autograd.Function):
    """The same by the linear-time kernel on the CPU: one winner per cell carries the gradient."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, maps: Tensor, springs: Tensor) -> Tensor:
        """Return the transformed maps (N, h, w)."""
        found = distance_transform_with_winners(
            maps.detach().numpy(), springs.detach().numpy().astype(np.float32)
        )
        ctx.save_for_backward(torch.from_numpy(found.rows), torch.from_numpy(found.columns))
        return torch.from_numpy(found.values)

    @staticmethod
    def backward(
        ctx: torch.autograd.function.FunctionCtx, gradient: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Route the gradient to the winners, and -(dx^2, dx, dy^2, dy) times it to the springs."""
        rows, columns = ctx.saved_tensors  # type: ignore[attr-defined]
        height, width = gradient.shape[-2:]
        senders = (rows * width + columns).long().flatten(1)
        flat = gradient.flatten(1)
        to_maps = torch.zeros_like(flat).scatter_add_(1, senders, flat)
        dy = (torch.arange(height)[:, None] - rows).float()
        dx = (torch.arange(width) - columns).float()
        to_springs = [-(gradient * term).sum((-2, -1)) for term in (dx**2, dx, dy**2, dy)]
        return to_maps.view_as(gradient), torch.stack(to_springs, -1)


def envelope_transform(maps: Tensor, springs: Tensor) -> Tensor:
    """Do what :func:`dense_transform` does on the CPU, in memory of the maps' own size."""
    out: Tensor = EnvelopeTransform.apply(maps, springs)  # type: ignore[no-untyped-call]
    return out


def warp_maps(maps: Tensor, grid: Tensor, outside: Tensor) -> Tensor:
    """Sample maps at the points of grids: bilinear; no gradient to the grid.

    Args:
        maps: (N, K, h, w).
        grid: (N, h, w, 2) of x, y in cells; NaN for nowhere.
        outside: (N, K), what lies beyond the border and nowhere.
    """
    size = torch.tensor([maps.shape[-1], maps.shape[-2]], dtype=maps.dtype, device=maps.device)
    points = ((2 * grid + 1) / size - 1).nan_to_num(nan=-9.0).clamp(-9, 9).detach()
    level = outside[..., None, None]
    inside = functional.grid_sample(maps - level, points, align_corners=False)
    return inside + level


def warp_frames(maps: Tensor, grids: Tensor) -> Tensor:
    """Warp maps (B, T, K, h, w) by grids (B, T, h, w, 2), with each map's minimum outside."""
    flat = maps.flatten(0, 1)
    return warp_maps(flat, grids.flatten(0, 1), flat.amin((-2, -1))).view_as(maps)
