"""From heat-maps to joints, and heat-maps from one region of the frame to another.

Heat-map coordinates are cells, with cell centres at integers. Cell c lies at crop pixel
``c * stride + offset``. With stride 4, offset 1.5 puts it in the middle of the 4x4 pixels it
stands for; offset 0, on their first pixel, is what HRNet's and SimpleBaselines' code uses.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.native.library import Kernel, precompiled

Floats = NDArray[np.float32]
Refinement = Literal["quadratic", "quarter"]

#: The shipped networks' stride and offset, in crop pixels.
STRIDE = 4.0
OFFSET = 1.5


def decode_heatmaps(heatmaps: Floats, method: Refinement = "quadratic") -> Floats:
    """Find each joint at the peak of its heat-map.

    Args:
        heatmaps: float32 (K, h, w).
        method: how to get between cells. ``"quadratic"`` fits a Gaussian through the highest cell
            and its eight neighbours (the Taylor step of DARK); ``"quarter"`` moves a quarter of a
            cell towards the higher neighbour (SimpleBaselines, HRNet). Peaks at the border or
            without curvature stay where they are.

    Returns:
        float32 (K, 3): x and y in cells, and the peak's value clipped to 0...1 as the score. A map
        without a value above 0 gives NaN, NaN, 0.

    Raises:
        ConfigError: the method is unknown or the heat-maps have no area.
    """
    maps = _checked(heatmaps, method)
    return _located(maps, (1.0, 0.0), (1.0, 0.0), quarter=method == "quarter")


def decode_heatmaps_numpy(heatmaps: Floats, method: Refinement = "quadratic") -> Floats:
    """Do what :func:`decode_heatmaps` does, in NumPy alone."""
    maps = _checked(heatmaps, method)
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[2])
    cells = np.stack([columns, rows], axis=1)
    border = 2 if method == "quarter" else 1
    within = (cells >= border) & (cells < np.subtract(maps.shape[:0:-1], 1))
    inner = np.all(within, axis=1, keepdims=True)

    padded = np.pad(maps, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
    near = np.arange(3)
    patches = padded[
        np.arange(len(maps))[:, None, None],
        rows[:, None, None] + near[:, None],
        columns[:, None, None] + near,
    ]
    peaks = patches[:, 1, 1]
    shifts = _quarter_shifts(patches) if method == "quarter" else _parabola_shifts(patches)
    positions = cells + np.where(inner, shifts, 0)
    joints = np.column_stack([positions, np.minimum(peaks, 1)])
    joints[~(peaks > 0)] = np.nan, np.nan, 0
    return joints.astype(np.float32)


def _quarter_shifts(patches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (K, 2) shifts towards the higher neighbour in 3x3 patches (K, 3, 3)."""
    slopes = patches[:, [1, 2], [2, 1]] - patches[:, [1, 0], [0, 1]]
    shifts: NDArray[np.float64] = 0.25 * np.sign(slopes)
    return shifts


def _parabola_shifts(patches: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the (K, 2) shifts to the top of a Gaussian through 3x3 patches (K, 3, 3)."""
    from edgepose_runtime.heatmaps.kernels import FLATTEST, LOWEST_NEIGHBOUR

    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(np.maximum(patches, LOWEST_NEIGHBOUR * patches[:, 1:2, 1:2]))
        right, left, low, high = logs[:, 1, 2], logs[:, 1, 0], logs[:, 2, 1], logs[:, 0, 1]
        dx, dy = (right - left) / 2, (low - high) / 2
        dxx, dyy = right + left - 2 * logs[:, 1, 1], low + high - 2 * logs[:, 1, 1]
        dxy = (logs[:, 2, 2] + logs[:, 0, 0] - logs[:, 2, 0] - logs[:, 0, 2]) / 4
        curvature = dxx * dyy - dxy * dxy
        shifts = np.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], axis=1) / curvature[:, None]
        usable = (dxx < 0) & (curvature > FLATTEST) & (np.abs(shifts).max(axis=1) < 1)
    return np.where(usable[:, None], shifts, 0)


def _checked(heatmaps: Floats, method: str) -> Floats:
    if method not in ("quadratic", "quarter"):
        raise ConfigError(f"The refinement {method!r} is unknown; use 'quadratic' or 'quarter'.")
    return _maps(heatmaps)


def _maps(heatmaps: Floats) -> Floats:
    maps = np.ascontiguousarray(heatmaps, np.float32)
    if maps.ndim != 3 or 0 in maps.shape[1:]:
        raise ConfigError(f"Heat-maps must have shape (K, h, w) with some area; got {maps.shape}.")
    return maps


def cells_to_frame(
    joints: Floats, roi: Roi, heatmap_size: int, stride: float = STRIDE, offset: float = OFFSET
) -> Floats:
    """Map decoded joints from cells to frame pixels.

    Args:
        joints: float32 (K, 3): x and y in cells, score.
        roi: the region that the heat-maps show.
        heatmap_size: cells along a side; the crop is ``heatmap_size * stride`` pixels wide.
        stride: crop pixels per cell.
        offset: crop pixel of cell 0.

    Returns:
        A new float32 (K, 3): x and y in frame pixels, score.
    """
    from edgepose_runtime.heatmaps.kernels import scale_points

    located = joints.copy()
    scale_points(located, *_frame_scale(roi, heatmap_size, stride, offset))
    return located


def decode_to_frame(
    heatmaps: Floats, roi: Roi, stride: float = STRIDE, offset: float = OFFSET
) -> Floats:
    """Find each joint in frame pixels: :func:`decode_heatmaps`, and then :func:`cells_to_frame`.

    Args:
        heatmaps: float32 (K, h, h).
        roi: the region that they show.
        stride: crop pixels per cell.
        offset: crop pixel of cell 0.

    Returns:
        float32 (K, 3): x and y in frame pixels, score.

    Raises:
        ConfigError: the heat-maps have no area.
    """
    maps = _maps(heatmaps)
    return _located(maps, *_frame_scale(roi, maps.shape[2], stride, offset))


def _located(
    maps: Floats, x: tuple[float, float], y: tuple[float, float], *, quarter: bool = False
) -> Floats:
    """Return the joints (K, 3) at the peaks of maps, each axis scaled by a factor and a shift."""
    joints = np.empty((len(maps), 3), np.float32)
    peaks = maps.reshape(len(maps), -1).argmax(axis=1)
    _locate_peaks()(maps, peaks, quarter, x, y, joints)
    return joints


@precompiled
def _locate_peaks() -> Kernel:
    from edgepose_runtime.heatmaps.kernels import locate_peaks

    return locate_peaks


@precompiled
def _resample_bilinear() -> Kernel:
    from edgepose_runtime.heatmaps.kernels import resample_bilinear

    return resample_bilinear


def _frame_scale(
    roi: Roi, heatmap_size: int, stride: float, offset: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return factor and shift of x, and those of y, from cells to frame pixels."""
    size = round(heatmap_size * stride)
    across, down = roi.width / size, roi.height / size
    inset = offset + 0.5  # as in crop_to_frame, of which this is the form for one pose
    return (
        (stride * across, roi.x - 0.5 + inset * across),
        (stride * down, roi.y - 0.5 + inset * down),
    )


def realign_heatmaps(
    heatmaps: Floats,
    source: Roi,
    target: Roi,
    *,
    stride: float = STRIDE,
    offset: float = OFFSET,
    out: Floats | None = None,
) -> Floats:
    """Resample the heat-maps of one region as the heat-maps of another.

    Propagation compares a frame's heat-maps with those of the frame before, which were made in
    another region: this brings them there. Bilinear, zero outside the source region.

    Args:
        heatmaps: float32 (K, h, w) of ``source``.
        source: the region the heat-maps show.
        target: the region to show.
        stride: crop pixels per cell.
        offset: crop pixel of cell 0.
        out: C-contiguous float32 (K, h, w) to write into, other than ``heatmaps``.

    Returns:
        float32 (K, h, w) of ``target``: ``out`` if that was given.

    Raises:
        ConfigError: the heat-maps have no area, or ``out`` does not fit.
    """
    maps = _maps(heatmaps)
    if out is None:
        out = np.empty_like(maps)
    elif out.shape != maps.shape or out.dtype != np.float32 or not out.flags.c_contiguous:
        raise ConfigError(
            f"The buffer must be a C-contiguous float32 array of shape {maps.shape}; "
            f"got {out.dtype} of shape {out.shape}."
        )
    first, scale = cells_between(source, target, maps.shape[1:], (offset + 0.5) / stride)
    _resample_bilinear()(maps, first, scale, out)
    return out


def realign_heatmaps_numpy(
    heatmaps: Floats, source: Roi, target: Roi, *, stride: float = STRIDE, offset: float = OFFSET
) -> Floats:
    """Do what :func:`realign_heatmaps` does, as two matrix products."""
    maps = _maps(heatmaps)
    first, scale = cells_between(source, target, maps.shape[1:], (offset + 0.5) / stride)
    columns, rows = (
        _tents(first[axis], scale[axis], length) for axis, length in enumerate(maps.shape[:0:-1])
    )
    realigned: Floats = (rows @ maps @ columns.T).astype(np.float32)
    return realigned


def cells_between(
    source: Roi, target: Roi, shape: tuple[int, ...], origin: float
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return where in the source's cells the target's cell (0, 0) lies, and the step per cell.

    Args:
        source: the region of the one heat-maps.
        target: the region of the others.
        shape: rows and columns of both.
        origin: where in a cell, from 0 to 1, the point lies that its coordinate means.
    """
    height, width = shape
    scale = target.width / source.width, target.height / source.height
    x = (target.x - source.x) * width / source.width + origin * (scale[0] - 1)
    y = (target.y - source.y) * height / source.height + origin * (scale[1] - 1)
    return (x, y), scale


def _tents(first: float, scale: float, length: int) -> NDArray[np.float64]:
    """Return the (length, length) weights of linear interpolation from one grid to another."""
    position = first + scale * np.arange(length)
    weights: NDArray[np.float64] = np.maximum(0, 1 - np.abs(position[:, None] - np.arange(length)))
    return weights
