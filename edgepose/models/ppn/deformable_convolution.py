"""Deformable convolution (version 1, without modulation) in plain PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, einsum
from torch.nn import functional

from edgepose_runtime.errors import ConfigError


def deform_conv2d(x: Tensor, offsets: Tensor, weight: Tensor, dilation: int = 1) -> Tensor:
    """Convolve ``x`` with taps that each position moves on its own.

    ``out(p) = sum over c, k of weight[o, c, k] * bilinear(x_c, p + dilation * k + offset_k(p))``
    at stride 1 with the padding that keeps the size, zero outside the map.

    Taps are gathered one after another: the memory in use is one copy of ``x``, not one per tap.

    Args:
        x: ``(B, C, H, W)``.
        offsets: ``(B, G * taps * 2, H, W)`` in cells: G groups of channels that share offsets,
            in each the taps row by row, for each tap (dy, dx).
        weight: ``(O, C, kernel height, kernel width)``, of odd sizes.
        dilation: distance of neighbouring taps in cells.

    Returns:
        ``(B, O, H, W)``.

    Raises:
        ConfigError: the offsets' channels do not fit the taps and the channels of ``x``.
    """
    batch, channels, height, width = x.shape
    taps = _tap_positions(weight, dilation)
    groups = _count_groups(offsets, len(taps), channels)
    maps = x.reshape(batch * groups, channels // groups, height, width)
    moves = offsets.reshape(batch * groups, len(taps), 2, height, width)
    out = x.new_zeros(batch, len(weight), height, width)
    for index, (dy, dx) in enumerate(taps):
        sampled = sample_bilinear(maps, moves[:, index, 0] + dy, moves[:, index, 1] + dx)
        taken = weight[:, :, index // weight.shape[3], index % weight.shape[3]]
        out = out + einsum("oc,bchw->bohw", taken, sampled.reshape(x.shape))
    return out


def sample_bilinear(maps: Tensor, dy: Tensor, dx: Tensor) -> Tensor:
    """Return each map's value ``(dy, dx)`` cells away from each cell, zero outside the map.

    Args:
        maps: ``(N, C, H, W)``.
        dy: ``(N, H, W)``, shared by the C channels.
        dx: ``(N, H, W)``.
    """
    height, width = maps.shape[2:]
    rows = torch.arange(height, dtype=maps.dtype, device=maps.device)[:, None]
    columns = torch.arange(width, dtype=maps.dtype, device=maps.device)
    # In the sampler's coordinates a map reaches from -1 to 1, edge to edge.
    x = (2 * (columns + dx) + 1) / width - 1
    y = (2 * (rows + dy) + 1) / height - 1
    grid = torch.stack((x, y), -1)
    return functional.grid_sample(maps, grid, "bilinear", "zeros", align_corners=False)


def _tap_positions(weight: Tensor, dilation: int) -> list[tuple[int, int]]:
    height, width = weight.shape[2:]
    return [
        (dilation * (row - height // 2), dilation * (column - width // 2))
        for row in range(height)
        for column in range(width)
    ]


def _count_groups(offsets: Tensor, taps: int, channels: int) -> int:
    # While a graph is traced for export, sizes are tensors.
    groups, rest = divmod(int(offsets.shape[1]), 2 * taps)
    if rest or groups == 0 or channels % groups:
        raise ConfigError(
            f"{offsets.shape[1]} offset channels do not fit {taps} taps and {channels} maps; "
            f"give {2 * taps} per group, and a number of groups that divides the maps."
        )
    return groups
