"""Heat-maps warped by optical flow, from one frame's region into another's."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import OFFSET, STRIDE, cells_between

Floats = NDArray[np.float32]


def sampling_grid(
    flow: Floats,
    receiver: Roi,
    sender: Roi,
    heatmap_size: int,
    *,
    stride: float = STRIDE,
    offset: float = OFFSET,
    trusted: NDArray[np.bool_] | None = None,
) -> Floats:
    """Return where in the sender's heat-maps each cell of the receiver's comes from.

    The flow is brought to the size of the heat-maps, and both frames' regions are taken into
    account: each frame keeps heat-maps of its own region, and nothing is resampled twice.

    Args:
        flow: (s, s, 2) x, y in pixels of a crop of the receiver's region, from the receiving to the
            sending frame, both cropped to that region.
        receiver: region of the receiving frame.
        sender: region of the sending frame's heat-maps.
        heatmap_size: cells along a side of the heat-maps.
        stride: crop pixels of the network per cell.
        offset: crop pixel of cell 0.
        trusted: (s, s), where the flow is to be trusted; cells that are mostly not become NaN.

    Returns:
        float32 (h, h, 2) of x, y in the sender's cells.

    Raises:
        ConfigError: the flow is of another shape.
    """
    if flow.ndim != 3 or flow.shape[0] != flow.shape[1] or flow.shape[2] != 2:
        raise ConfigError(f"A flow must have shape (s, s, 2); got {flow.shape}.")
    size = heatmap_size, heatmap_size
    moved = cv2.resize(flow, size, interpolation=cv2.INTER_AREA) * (heatmap_size / len(flow))
    first, scale = cells_between(sender, receiver, size, (offset + 0.5) / stride)
    moved[..., 0] += np.arange(heatmap_size)
    moved[..., 1] += np.arange(heatmap_size)[:, None]
    grid: Floats = (moved * np.array(scale) + np.array(first)).astype(np.float32)
    if trusted is not None:
        share = cv2.resize(trusted.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        grid[share < 0.5] = np.nan
    return grid


def warp_heatmaps(heatmaps: Floats, grid: Floats, outside: float = 0.0) -> Floats:
    """Sample heat-maps at the points of a grid: bilinear, ``outside`` beyond the border.

    Args:
        heatmaps: float32 (K, h, w) of the sender.
        grid: float32 (h, w, 2) of x, y in cells, NaN for nowhere.
        outside: what lies beyond the border, and nowhere.

    Returns:
        float32 (K, h, w).

    Raises:
        ConfigError: the shapes do not fit.
    """
    from edgepose_runtime.thin_slicing.kernels import warp_all

    maps, points = _checked(heatmaps, grid)
    out = np.empty_like(maps)
    warp_all(maps, points, outside, out)
    return out


def warp_heatmaps_numpy(heatmaps: Floats, grid: Floats, outside: float = 0.0) -> Floats:
    """Do what :func:`warp_heatmaps` does, in NumPy alone."""
    maps, points = _checked(heatmaps, grid)
    height, width = maps.shape[1:]
    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), constant_values=outside)
    known = np.isfinite(points).all(axis=-1)
    x = np.where(known, points[..., 0], -1).clip(-1, width) + 1
    y = np.where(known, points[..., 1], -1).clip(-1, height) + 1
    left, top = np.minimum(x.astype(int), width), np.minimum(y.astype(int), height)
    dx, dy = x - left, y - top
    upper = (1 - dx) * padded[:, top, left] + dx * padded[:, top, left + 1]
    lower = (1 - dx) * padded[:, top + 1, left] + dx * padded[:, top + 1, left + 1]
    warped: Floats = ((1 - dy) * upper + dy * lower).astype(np.float32)
    return warped


def _checked(heatmaps: Floats, grid: Floats) -> tuple[Floats, Floats]:
    maps = np.ascontiguousarray(heatmaps, np.float32)
    points = np.ascontiguousarray(grid, np.float32)
    if maps.ndim != 3 or points.shape != (*maps.shape[1:], 2):
        raise ConfigError(
            f"Heat-maps (K, h, w) need a grid (h, w, 2); got {maps.shape} and {points.shape}."
        )
    return maps, points
