"""Smoothers that take noise into account: rivals of the interpolation with learned dynamics."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import UnivariateSpline

from edgepose_runtime.interpolation.interpolator import WINDOW

Doubles = NDArray[np.floating]

#: Variances of the acceleration per frame among which the likelihood chooses, in squared sides of
#: the person's box, and of the noise where that is estimated, too.
ACCELERATIONS = np.logspace(-9, -3, 13)
NOISES = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
#: Variances of place and speed in the first frame: next to nothing is known of them.
PLACE, SPEED = 10.0, 0.1
#: The least noise, without which matrices of many keys cannot be factorised.
_LEAST = 1e-4


def smoothing_spline(keys: NDArray[np.int64], values: Doubles, noise: float) -> Doubles:
    """Return cubic splines (T, C) that are off the values (n, C) by the given noise, on average."""
    frames = np.clip(np.arange(WINDOW), keys[0], keys[-1])
    if len(keys) < 2:
        return np.repeat(values, WINDOW, axis=0)
    degree, slack = min(3, len(keys) - 1), len(keys) * noise**2
    return np.stack(
        [UnivariateSpline(keys, column, k=degree, s=slack)(frames) for column in values.T], axis=1
    )


def kalman_smoother(keys: NDArray[np.int64], values: Doubles, noise: float) -> Doubles:
    """Smooth (n, C) by a Kalman filter and the Rauch-Tung-Striebel pass, of constant velocity.

    Computed as the Gaussian process with the same mean, that of white acceleration. The variance of
    the acceleration is the most likely one for each joint (two columns).
    """
    return _most_likely(keys, values, [max(noise, _LEAST)])


def kalman_smoother_estimated(keys: NDArray[np.int64], values: Doubles, _noise: float) -> Doubles:
    """Return the same with the noise that is most likely, too."""
    return _most_likely(keys, values, NOISES)


def _most_likely(keys: NDArray[np.int64], values: Doubles, noises: Sequence[float]) -> Doubles:
    """Return the paths (T, C) under the most likely noise and acceleration of each joint."""
    noise, acceleration = (each.ravel() for each in np.meshgrid(noises, ACCELERATIONS))
    middle = values.mean(axis=0)
    covariance = _covariance(keys, keys, acceleration)
    covariance += (noise**2)[:, None, None] * np.eye(len(keys))
    factor = np.linalg.cholesky(covariance)
    solved = np.linalg.solve(
        covariance, np.broadcast_to(values - middle, (len(noise), *values.shape))
    )
    misfit = ((values - middle) * solved).sum(axis=1).reshape(len(noise), -1, 2).sum(axis=2)
    volume = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
    best = np.repeat(np.argmin(misfit / 2 + 2 * volume[:, None], axis=0), 2)
    chosen = solved[best, :, np.arange(values.shape[1])]  # (C, n)
    across = _covariance(np.arange(WINDOW), keys, acceleration)[best]  # (C, T, n)
    smoothed: Doubles = np.einsum("ctn,cn->tc", across, chosen) + middle
    return smoothed


def _covariance(first: NDArray[np.int64], second: NDArray[np.int64], variances: Doubles) -> Doubles:
    """Return the covariances (V, S, T) of a place in two frames each, by the acceleration's."""
    low = np.minimum.outer(first, second).astype(np.float64)
    high = np.maximum.outer(first, second)
    wandered = variances[:, None, None] * low**2 * (3 * high - low) / 6
    known: Doubles = wandered + PLACE + SPEED * np.multiply.outer(first, second)
    return known
