"""The generalised distance transform: a joint's heat-map as a score map for its neighbour."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from edgepose_runtime.errors import ConfigError

Floats = NDArray[np.float32]
Indices = NDArray[np.int32]

#: The softest spring there is: a smaller a would let a message be flat, and divide by zero.
LEAST_STIFFNESS = 1e-4


class Transformed(NamedTuple):
    """Transformed maps, and the cell that each value came from.

    Attributes:
        values: float32 (N, h, w).
        rows: int32 (N, h, w), the winning sender's row.
        columns: int32 (N, h, w), its column.
    """

    values: Floats
    rows: Indices
    columns: Indices


def distance_transform(maps: ArrayLike, springs: ArrayLike) -> Floats:
    """Send maps along springs: out(p) = max_q s(q) - a_x dx^2 - b_x dx - a_y dy^2 - b_y dy.

    Here (dx, dy) = p - q runs from the sender's cell q to the receiver's cell p, so the peak moves
    by -b / 2a.

    Args:
        maps: (N, h, w) scores. NaN counts as the lowest score of its map.
        springs: (N, 4), or (4,) for all maps: a_x, b_x, a_y, b_y in units of score per squared
            cell and per cell; both a above 0.

    Returns:
        float32 (N, h, w).

    Raises:
        ConfigError: the shapes do not fit, or a spring is not finite or not convex.
    """
    from edgepose_runtime.thin_slicing.spring_kernels import transform_all

    scores, pairs = _checked(maps, springs)
    out = np.empty_like(scores)
    transform_all(scores, pairs, out)
    return out


def distance_transform_with_winners(maps: ArrayLike, springs: ArrayLike) -> Transformed:
    """Do what :func:`distance_transform` does, and say which sender won at each receiver.

    The lower-envelope algorithm: linear in the number of cells, whatever the springs. Arguments
    and errors are those of :func:`distance_transform`.
    """
    from edgepose_runtime.thin_slicing.envelope_kernels import transform_with_winners

    scores, pairs = _checked(maps, springs)
    out = np.empty_like(scores)
    rows, columns = np.empty(scores.shape, np.int32), np.empty(scores.shape, np.int32)
    transform_with_winners(scores, pairs, out, rows, columns)
    return Transformed(out, rows, columns)


def distance_transform_numpy(maps: ArrayLike, springs: ArrayLike) -> Transformed:
    """Do what :func:`distance_transform_with_winners` does by trying every sender, in NumPy."""
    scores, pairs = _checked(maps, springs)
    ax, bx, ay, by = pairs.astype(np.float64).T[:, :, None, None]
    height, width = scores.shape[1:]
    dy = np.arange(height)[:, None] - np.arange(height)  # receiver, sender
    by_row = scores[:, None].astype(np.float64) - (ay * dy**2 + by * dy)[..., None]
    half, half_rows = by_row.max(axis=2), by_row.argmax(axis=2)
    dx = np.arange(width)[:, None] - np.arange(width)
    by_column = half[:, :, None] - (ax * dx**2 + bx * dx)[:, None]
    columns = by_column.argmax(axis=3)
    rows = np.take_along_axis(half_rows, columns, axis=2)
    return Transformed(
        by_column.max(axis=3).astype(np.float32), rows.astype(np.int32), columns.astype(np.int32)
    )


def check_springs(springs: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """Return springs as float32 of a shape (..., 4).

    Raises:
        ConfigError: they have another shape, are not finite, or an a is below the least stiffness.
    """
    given = np.asarray(springs, np.float32)
    if given.shape != shape:
        raise ConfigError(f"Springs of shape {shape} are needed; got {given.shape}.")
    if not np.isfinite(given).all() or (given[..., ::2] < np.float32(LEAST_STIFFNESS)).any():
        raise ConfigError(
            "Springs must be finite numbers a_x, b_x, a_y, b_y whose stiffness a is at least "
            f"{LEAST_STIFFNESS:g}."
        )
    return np.ascontiguousarray(given)


def _checked(maps: ArrayLike, springs: ArrayLike) -> tuple[Floats, Floats]:
    scores = np.array(maps, np.float32, order="C")
    if scores.ndim != 3 or 0 in scores.shape[1:]:
        raise ConfigError(f"Maps must have shape (N, h, w) with some area; got {scores.shape}.")
    fill_missing(scores)
    pairs = np.asarray(springs, np.float32)
    if pairs.ndim == 1:
        pairs = np.broadcast_to(pairs, (len(scores), *pairs.shape))
    return scores, check_springs(pairs, (len(scores), 4))


def fill_missing(scores: Floats) -> None:
    """Give what is not finite in maps (..., h, w) the lowest score of its map, in place.

    A map without any finite value becomes 0.
    """
    broken = ~np.isfinite(scores)
    if not broken.any():
        return
    lowest = np.where(broken, np.inf, scores).min(axis=(-2, -1), keepdims=True)
    lowest = np.where(np.isfinite(lowest), lowest, 0)
    np.copyto(scores, lowest.astype(np.float32), where=broken)
