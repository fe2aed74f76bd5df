"""Similarities of poses, and the assignment of the ones to the others."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.boxes import Boxes, areas

Floats = NDArray[np.float64]
Poses = NDArray[np.float32]

#: Falloff of the object keypoint similarity, in parts of the square root of a person's area: about
#: the mean of COCO's over shoulders, elbows, wrists, hips, knees and ankles.
SIGMA = 0.08
#: A person's area in parts of the box.
BOX_TO_AREA = 0.53


def assign(costs: Floats) -> list[tuple[int, int]]:
    """Return the pairs (row, column) of the assignment with the lowest sum of costs.

    As many pairs as possible are formed of finite costs; each row and column is in one at most.
    This is the Hungarian algorithm by shortest augmenting paths: rows one after the other, with
    potentials that keep reduced costs at 0 or above.

    Args:
        costs: (P, Q); infinite where a pair is not allowed, never NaN or negative.
    """
    if not costs.size or not np.isfinite(costs).any():
        return []
    if costs.shape[0] > costs.shape[1]:
        return sorted((row, column) for column, row in assign(costs.T))
    allowed = np.isfinite(costs)
    # A pair that is not allowed costs more than all that are: the fewest of them are formed.
    forbidden = float(costs[allowed].max() + 1) * (len(costs) + 1)
    rows = _solve(np.where(allowed, costs, forbidden))
    return [(row, column) for row, column in enumerate(rows) if allowed[row, column]]


def assign_within(costs: Floats, limit: float) -> list[tuple[int, int]]:
    """Return the pairs (row, column) with the lowest sum, where a row without a pair costs a limit.

    Unlike :func:`assign`, no good pair is given up for the sake of more pairs.

    Args:
        costs: (P, Q), never negative; NaN or infinite where a pair is not allowed.
        limit: the highest cost of a pair.
    """
    num_rows, num_columns = costs.shape
    allowed = np.where(costs <= limit, costs, np.inf)
    pairs = assign(np.hstack([allowed, np.full((num_rows, num_rows), limit)]))
    return [(row, column) for row, column in pairs if column < num_columns]


def _solve(costs: Floats) -> list[int]:
    """Return the column of each row, for finite costs (P, Q) with P at most Q."""
    num_rows, num_columns = costs.shape
    of_row, of_column = np.zeros(num_rows), np.zeros(num_columns)
    owner = [-1] * num_columns
    for start in range(num_rows):
        shortest = np.full(num_columns, math.inf)
        came_from = np.full(num_columns, -1)
        visited = np.zeros(num_columns, bool)
        row, last, distance = start, -1, 0.0
        rows, columns = [start], []
        while True:
            through = distance + costs[row] - of_row[row] - of_column
            better = (through < shortest) & ~visited
            shortest[better], came_from[better] = through[better], last
            column = int(np.where(visited, math.inf, shortest).argmin())
            distance = float(shortest[column])
            visited[column] = True
            if owner[column] < 0:
                break
            row, last = owner[column], column
            rows.append(row)
            columns.append(column)
        of_row[start] += distance
        for each, at in zip(rows[1:], columns, strict=True):
            of_row[each] += distance - shortest[at]
            of_column[at] -= distance - shortest[at]
        while column >= 0:
            previous = int(came_from[column])
            owner[column] = start if previous < 0 else owner[previous]
            column = previous
    found = [0] * num_rows
    for column, row in enumerate(owner):
        if row >= 0:
            found[row] = column
    return found


def pose_similarities(first: Poses, second: Poses, boxes: Boxes) -> Floats:
    """Return the object keypoint similarity (P, Q), from 0 to 1, of poses to others.

    Args:
        first: (P, K, 3): x, y in pixels and score; NaN for joints that are missing.
        second: (Q, K, 3), likewise.
        boxes: (P, 4 or more) of the first poses, which say how large these people are.
    """
    apart = first[:, None, :, :2].astype(np.float64) - second[None, :, :, :2]
    squared = np.square(apart).sum(axis=-1)
    weights = np.minimum(first[:, None, :, 2], second[None, :, :, 2]) * np.isfinite(squared)
    sizes = np.maximum(BOX_TO_AREA * areas(boxes), 1.0)[:, None, None]
    similar = np.exp(-np.nan_to_num(squared) / (2 * sizes * (2 * SIGMA) ** 2))
    total = weights.sum(axis=-1)
    similarities: Floats = np.divide(
        (similar * weights).sum(axis=-1), total, out=np.zeros_like(total), where=total > 0
    )
    return similarities
