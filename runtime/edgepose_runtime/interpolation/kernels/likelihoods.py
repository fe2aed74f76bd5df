"""Kernels for the likelihood of each kind of movement, by joint (HPIM)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.hpim import NEGLIGIBLE, UNSEEN
from edgepose_runtime.interpolation.kernels.cholesky import (
    factorise,
    factorise_shared,
    solve_forward,
    solve_forward_shared,
)
from edgepose_runtime.jit import fused_kernel

Doubles = NDArray[np.float64]
Keys = NDArray[np.int64]

#: Pivots that are multiplied before a logarithm is taken. That stays in range: unseen keys are left
#: out, so that each lies between the inverse roots of `UNSEEN` and of the floor of variances.
FACTORS = 16


@fused_kernel
def have_equal_variances(variances: Doubles) -> bool:
    """Return whether all joints have the same variances, so that one system serves them all."""
    alike = True
    for i in range(len(variances)):
        row, first = variances[i], variances[i, 0]
        for k in range(len(row)):
            alike &= row[k] == first
    return alike


@fused_kernel
def weigh(
    priors: Doubles,
    keys: Keys,
    values: Doubles,
    variances: Doubles,
    alike: bool,
    always: bool,
    lows: Doubles,
    ones: Doubles,
    sides: Doubles,
    likelihoods: Doubles,
) -> None:
    """Factorise, solve forward and write the log-likelihoods (M, K) for each kind of movement.

    Where there is one kind, and not `always`, its likelihood is left out.
    """
    rows, lanes = variances.shape
    wanted = len(priors) > 1 or always
    for m in range(len(priors)):
        sides[m] = values
        if alike:
            factorise_shared(priors[m], keys, variances, ones[m])
            solve_forward_shared(ones[m], sides[m].reshape(rows, 2 * lanes))
            if wanted:
                likelihoods[m] = _shared_log_determinant(ones[m], variances)
        else:
            factorise(priors[m], keys, variances, lows[m])
            solve_forward(lows[m], sides[m])
            if wanted:
                _log_determinants(lows[m], variances, likelihoods[m])
        if wanted:
            _subtract_squares(sides[m], variances, likelihoods[m])


# There are two coordinates: twice the logarithm of the inverse root of the determinant.


@fused_kernel
def _log_determinants(low: Doubles, variances: Doubles, out: Doubles) -> None:
    """Write the part (K,) of the log-likelihoods that the factors (r, r, K) alone decide."""
    product = np.empty(len(out))
    out[:] = 0
    for first in range(0, len(low), FACTORS):
        product[:] = 1
        for i in range(first, min(first + FACTORS, len(low))):
            pivot, row = low[i, i], variances[i]
            for k in range(len(out)):
                product[k] *= pivot[k] if row[k] < UNSEEN else 1.0
        for k in range(len(out)):
            out[k] += 2 * math.log(product[k])


@fused_kernel
def _shared_log_determinant(low: Doubles, variances: Doubles) -> float:
    """Return what `_log_determinants` writes, with one factor (r, r)."""
    total = 0.0
    for first in range(0, len(low), FACTORS):
        product = 1.0
        for i in range(first, min(first + FACTORS, len(low))):
            product *= low[i, i] if variances[i, 0] < UNSEEN else 1.0
        total += 2 * math.log(product)
    return total


@fused_kernel
def _subtract_squares(whitened: Doubles, variances: Doubles, out: Doubles) -> None:
    """Subtract what values (r, 2, K) that were solved forward make of the log-likelihoods (K,)."""
    for i in range(len(whitened)):
        x, y, row = whitened[i, 0], whitened[i, 1], variances[i]
        for k in range(len(out)):
            out[k] -= (x[k] * x[k] + y[k] * y[k]) / 2 if row[k] < UNSEEN else 0.0


@fused_kernel
def share(likelihoods: Doubles, log_odds: Doubles, trust: float) -> None:
    """Turn log-likelihoods (M, K) into the shares of each kind of movement in each joint."""
    kinds, joints = likelihoods.shape
    for k in range(joints):
        most = -np.inf
        for m in range(kinds):
            likelihoods[m, k] = log_odds[m] + trust * likelihoods[m, k]
            most = max(most, likelihoods[m, k])
        # What is negligible beside the largest share is left out before they are made to add up.
        total = 0.0
        for m in range(kinds):
            part = math.exp(likelihoods[m, k] - most)
            likelihoods[m, k] = part if part > NEGLIGIBLE else 0.0
            total += likelihoods[m, k]
        for m in range(kinds):
            likelihoods[m, k] /= total


@fused_kernel
def log_of_mean(likelihoods: Doubles, log_odds: Doubles, joints: int) -> float:
    """Return the log-likelihood of all of so many joints, whatever kind each follows."""
    total = 0.0
    for k in range(joints):
        most = -np.inf
        for m in range(len(log_odds)):
            most = max(most, likelihoods[m, k] + log_odds[m])
        part = 0.0
        for m in range(len(log_odds)):
            part += math.exp(likelihoods[m, k] + log_odds[m] - most)
        total += most + math.log(part)
    return total
