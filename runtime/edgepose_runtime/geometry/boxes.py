"""Boxes around people: extents, areas and overlaps."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

#: float64 (N, 4) x1, y1, x2, y2 in frame pixels, or (N, 5) with a score.
Boxes = NDArray[np.float64]


def enlarged_extent(
    points: NDArray[np.floating], above: float, below: float, aside: float
) -> NDArray[np.float64] | None:
    """Return the box (4,) around points (N, 2), enlarged; ``None`` if they have no height.

    Args:
        points: x, y in frame pixels.
        above: how much it is enlarged above, in parts of the points' height.
        below: the same below.
        aside: the same at each side.
    """
    if not len(points):
        return None
    (left, top), (right, bottom) = points.min(axis=0), points.max(axis=0)
    height = float(bottom) - float(top)
    if not height > 0:
        return None
    margins = height * np.array([-aside, -above, aside, below])
    return np.array([left, top, right, bottom], np.float64) + margins


def box_overlaps(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the intersection over union (P, Q) of boxes (P, 4 or more) and (Q, 4 or more)."""
    shared = intersections(first, second)
    union = areas(first)[:, None] + areas(second)[None] - shared
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def intersections(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the area (P, Q) that boxes have in common."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:4], second[None, :, 2:4])
    shared: NDArray[np.float64] = np.clip(high - low, 0, None).prod(axis=-1)
    return shared


def areas(boxes: Boxes) -> NDArray[np.float64]:
    """Return the area (N,) of boxes."""
    sides: NDArray[np.float64] = boxes[:, 2:4] - boxes[:, :2]
    return np.asarray(sides[:, 0] * sides[:, 1])
