"""Deformable convolution of heat-maps: the propagation of PPN as published (section "PPU")."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError

Floats = NDArray[np.float32]


def deform_heatmaps(
    heatmaps: Floats, offsets: Floats, weight: Floats, dilation: int = 1, out: Floats | None = None
) -> Floats:
    """Convolve heat-maps with taps that each cell moves on its own, in one pass.

    ``out(p) += sum over c, k of weight[o, c, k] * bilinear(heatmaps_c, p + dilation * k +
    offset_k(p))``, zero outside the maps. Nothing is kept of the samples, and where a map is empty
    nothing is computed.

    Args:
        heatmaps: float32 (K, h, w).
        offsets: float32 (G * taps * 2, h, w) in cells: G groups of maps that share offsets, in
            each the taps row by row, for each tap dy and dx. Finite.
        weight: float32 (O, K, kernel height, kernel width), of odd sizes.
        dilation: distance of neighbouring taps in cells.
        out: C-contiguous float32 (O, h, w) to add to; None for zeros.

    Returns:
        ``out``.

    Raises:
        ConfigError: the shapes do not fit each other.
    """
    from edgepose_runtime.deforming_kernels import add_deformed

    _check(heatmaps, offsets, weight)
    shape = (len(weight), *heatmaps.shape[1:])
    if out is None:
        out = np.zeros(shape, np.float32)
    elif out.shape != shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ConfigError(
            f"The buffer must be a C-contiguous float32 array of shape {shape}; "
            f"got {out.dtype} of shape {out.shape}."
        )
    padded = np.pad(heatmaps, ((0, 0), (1, 2), (1, 2)))
    add_deformed(padded, np.ascontiguousarray(offsets), weight, dilation, out)
    return out


def deform_heatmaps_numpy(
    heatmaps: Floats, offsets: Floats, weight: Floats, dilation: int = 1
) -> Floats:
    """Do what :func:`deform_heatmaps` does without ``out``, a tap at a time."""
    _check(heatmaps, offsets, weight)
    joints, height, width = heatmaps.shape
    taps = weight[0, 0].size
    groups = len(offsets) // (2 * taps)
    moves = np.repeat(offsets.reshape(groups, taps, 2, height, width), joints // groups, axis=0)
    out = np.zeros((len(weight), height, width))
    for tap in range(taps):
        row, column = divmod(tap, weight.shape[3])
        y = (
            np.arange(height)[:, None]
            + moves[:, tap, 0]
            + dilation * (row - len(weight[0, 0]) // 2)
        )
        x = np.arange(width) + moves[:, tap, 1] + dilation * (column - weight.shape[3] // 2)
        out += np.tensordot(weight[:, :, row, column], _bilinear(heatmaps, y, x), axes=1)
    return out.astype(np.float32)


def _bilinear(
    maps: Floats, y: NDArray[np.floating], x: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Return each map's values at cells (K, h, w), zero outside."""
    total = np.zeros(y.shape)
    top, left = np.floor(y), np.floor(x)
    for row in (top, top + 1):
        for column in (left, left + 1):
            inside = (row >= 0) & (row < maps.shape[1]) & (column >= 0) & (column < maps.shape[2])
            rows, columns = (np.where(inside, each, 0).astype(int) for each in (row, column))
            values = maps[np.arange(len(maps))[:, None, None], rows, columns]
            total += inside * values * (1 - abs(y - row)) * (1 - abs(x - column))
    return total


def _check(heatmaps: Floats, offsets: Floats, weight: Floats) -> None:
    if heatmaps.ndim != 3 or weight.ndim != 4 or weight.shape[1] != len(heatmaps):
        raise ConfigError(
            f"Heat-maps (K, h, w) are convolved with weights (O, K, height, width); got the "
            f"shapes {heatmaps.shape} and {weight.shape}."
        )
    per_group = 2 * weight[0, 0].size
    groups, rest = divmod(len(offsets), per_group)
    fits = offsets.shape[1:] == heatmaps.shape[1:] and not rest and groups
    if not fits or len(heatmaps) % groups:
        raise ConfigError(
            f"Offsets of shape {offsets.shape} do not fit heat-maps of shape {heatmaps.shape}; "
            f"give {per_group} per group, and a number of groups that divides the maps."
        )
