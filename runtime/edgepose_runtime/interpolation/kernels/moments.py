"""Kernels for mean and variance of a joint's path, from a solved system (HPIM)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.kernels.cholesky import add_rows
from edgepose_runtime.jit import fused_kernel

Doubles = NDArray[np.float64]
Keys = NDArray[np.int64]


@fused_kernel
def add_paths(prior: Doubles, keys: Keys, share: Doubles, gains: Doubles, mean: Doubles) -> None:
    """Add a kind's share (K,) of what it expects, given gains (r, 2, K), to the mean (K, 2, T)."""
    for k in range(len(mean)):
        # A joint that does not follow this kind costs nothing.
        if share[k] > 0:
            add_path(prior, keys, share[k], gains[:, :, k], mean[k, 0], mean[k, 1])


@fused_kernel
def add_path(
    prior: Doubles, keys: Keys, share: float, gains: Doubles, x: Doubles, y: Doubles
) -> None:
    """Add a share of a joint's expectation, given its gains (r, 2), to its path x, y (T,)."""
    i, end = 0, len(keys)
    # Four keys at a time quarter the traffic on the path, and both coordinates share the rows.
    while i + 4 <= end:
        one, two, three, four = (
            prior[keys[i]],
            prior[keys[i + 1]],
            prior[keys[i + 2]],
            prior[keys[i + 3]],
        )
        a, b = share * gains[i, 0], share * gains[i + 1, 0]
        c, d = share * gains[i + 2, 0], share * gains[i + 3, 0]
        e, f = share * gains[i, 1], share * gains[i + 1, 1]
        g, h = share * gains[i + 2, 1], share * gains[i + 3, 1]
        for t in range(len(x)):
            x[t] += a * one[t] + b * two[t] + c * three[t] + d * four[t]
            y[t] += e * one[t] + f * two[t] + g * three[t] + h * four[t]
        i += 4
    while i < end:
        one, a, e = prior[keys[i]], share * gains[i, 0], share * gains[i, 1]
        for t in range(len(x)):
            x[t] += a * one[t]
            y[t] += e * one[t]
        i += 1


@fused_kernel
def remaining_variance(
    prior: Doubles, keys: Keys, low: Doubles, rows: Doubles, left: Doubles
) -> None:
    """Write the posterior variance (T,) for one factor (r, r); ``rows`` (r, T) is scratch."""
    for t in range(len(left)):
        left[t] = prior[t, t]
    for i in range(len(keys)):
        row = rows[i]
        row[:] = prior[keys[i]]
        add_rows(low[i], rows, -1.0, 0, i, row)
        for t in range(len(row)):
            row[t] *= low[i, i]
            left[t] -= row[t] * row[t]


@fused_kernel
def add_moments(
    share: float, path: Doubles, left: Doubles, mean: Doubles, variance: Doubles
) -> None:
    """Add a share of a path (2, T) to a joint's mean, and of its second moments to the variance.

    Args:
        share: of the kind of movement.
        path: (2, T) what it expects.
        left: (T,) the variance that it leaves.
        mean: (2, T) is changed.
        variance: (T,) is changed.
    """
    for t in range(len(left)):
        x, y = path[0, t], path[1, t]
        mean[0, t] += share * x
        mean[1, t] += share * y
        variance[t] += share * (left[t] + (x * x + y * y) / 2)


@fused_kernel
def centre_moments(mean: Doubles, variance: Doubles) -> None:
    """Turn second moments (T,) into the variance around the mean (2, T)."""
    for t in range(len(variance)):
        x, y = mean[0, t], mean[1, t]
        variance[t] = max(variance[t] - (x * x + y * y) / 2, 0.0)
