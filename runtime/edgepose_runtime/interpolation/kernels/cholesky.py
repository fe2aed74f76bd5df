"""Cholesky factors and triangular solves of linear systems, one for each joint, side by side.

Joints are the innermost axis of most arrays: all systems are solved together, in vector
instructions. That axis is padded to whole registers, with lanes that repeat the first joint's
scores.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.jit import fused_kernel

Doubles = NDArray[np.float64]
Keys = NDArray[np.int64]

#: Doubles that compiled loops take at a time.
LANES = 16


@fused_kernel
def factorise(prior: Doubles, keys: Keys, variances: Doubles, low: Doubles) -> None:
    """Write Cholesky factors of ``prior[keys, keys] + diag(variances)``.

    Args:
        prior: (T, T).
        keys: (r,).
        variances: (r, K), a column for each joint.
        low: (r, r, K) receives the factors, with the reciprocals of their diagonals.
    """
    joints = range(variances.shape[1])
    for j in range(len(keys)):
        pivot = low[j, j]
        for i in range(j, len(keys)):
            entry, between = low[i, j], prior[keys[i], keys[j]]
            for k in joints:
                entry[k] = between + variances[j, k] if i == j else between
            # Two columns at a time halve the traffic on the entry.
            for p in range(0, j - 1, 2):
                left, right, left2, right2 = low[i, p], low[j, p], low[i, p + 1], low[j, p + 1]
                for k in joints:
                    entry[k] -= left[k] * right[k] + left2[k] * right2[k]
            if j % 2:
                left, right = low[i, j - 1], low[j, j - 1]
                for k in joints:
                    entry[k] -= left[k] * right[k]
            for k in joints:
                entry[k] = 1 / math.sqrt(entry[k]) if i == j else entry[k] * pivot[k]


@fused_kernel
def solve_forward(low: Doubles, sides: Doubles) -> None:
    """Replace right-hand sides (r, 2, K) by ``L^-1`` times them."""
    for i in range(len(sides)):
        pivot = low[i, i]
        for c in range(2):
            side = sides[i, c]
            for p in range(0, i - 1, 2):
                one, two, first, second = low[i, p], low[i, p + 1], sides[p, c], sides[p + 1, c]
                for k in range(len(side)):
                    side[k] -= one[k] * first[k] + two[k] * second[k]
            if i % 2:
                one, first = low[i, i - 1], sides[i - 1, c]
                for k in range(len(side)):
                    side[k] -= one[k] * first[k]
            for k in range(len(side)):
                side[k] *= pivot[k]


@fused_kernel
def solve_backward(low: Doubles, sides: Doubles) -> None:
    """Replace right-hand sides (r, 2, K) by ``L^-T`` times them."""
    last = len(sides) - 1
    for i in range(last, -1, -1):
        pivot = low[i, i]
        for c in range(2):
            side = sides[i, c]
            for p in range(i + 1, last, 2):
                one, two, first, second = low[p, i], low[p + 1, i], sides[p, c], sides[p + 1, c]
                for k in range(len(side)):
                    side[k] -= one[k] * first[k] + two[k] * second[k]
            if (last - i) % 2:
                one, first = low[last, i], sides[last, c]
                for k in range(len(side)):
                    side[k] -= one[k] * first[k]
            for k in range(len(side)):
                side[k] *= pivot[k]


@fused_kernel
def factorise_shared(prior: Doubles, keys: Keys, variances: Doubles, low: Doubles) -> None:
    """Do what `factorise` does where all joints have the same variances; ``low`` is (r, r)."""
    for j in range(len(keys)):
        for i in range(j, len(keys)):
            entry = prior[keys[i], keys[j]]
            for p in range(j):
                entry -= low[i, p] * low[j, p]
            low[i, j] = 1 / math.sqrt(entry + variances[j, 0]) if i == j else entry * low[j, j]


@fused_kernel
def solve_forward_shared(low: Doubles, sides: Doubles) -> None:
    """Do what `solve_forward` does with one factor (r, r); the sides are (r, 2 K)."""
    for i in range(len(sides)):
        side = sides[i]
        add_rows(low[i], sides, -1.0, 0, i, side)
        pivot = low[i, i]
        for k in range(len(side)):
            side[k] *= pivot


@fused_kernel
def solve_backward_shared(low: Doubles, column: Doubles, sides: Doubles) -> None:
    """Do what `solve_backward` does with one factor; ``column`` (r,) is scratch."""
    rows = len(sides)
    for i in range(rows - 1, -1, -1):
        side = sides[i]
        for p in range(i + 1, rows):
            column[p] = low[p, i]
        add_rows(column, sides, -1.0, i + 1, rows, side)
        pivot = low[i, i]
        for k in range(len(side)):
            side[k] *= pivot


@fused_kernel
def add_rows(
    weights: Doubles, rows: Doubles, sign: float, first: int, end: int, total: Doubles
) -> None:
    """Add rows from the first up to the end, weighted, to the total."""
    i = first
    # Four at a time quarter the traffic on the total.
    while i + 4 <= end:
        a, b = sign * weights[i], sign * weights[i + 1]
        c, d = sign * weights[i + 2], sign * weights[i + 3]
        one, two, three, four = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        for k in range(len(total)):
            total[k] += a * one[k] + b * two[k] + c * three[k] + d * four[k]
        i += 4
    while i < end:
        a, one = sign * weights[i], rows[i]
        for k in range(len(total)):
            total[k] += a * one[k]
        i += 1
