"""Kernels of what key poses say of all frames, weighing the kinds of movement (HPIM)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.kernels.cholesky import (
    LANES,
    solve_backward,
    solve_backward_shared,
)
from edgepose_runtime.interpolation.kernels.likelihoods import (
    have_equal_variances,
    log_of_mean,
    share,
    weigh,
)
from edgepose_runtime.interpolation.kernels.moments import (
    add_moments,
    add_path,
    add_paths,
    centre_moments,
    remaining_variance,
)
from edgepose_runtime.jit import fused_kernel

Doubles = NDArray[np.float64]
Keys = NDArray[np.int64]


@fused_kernel
def padded_lanes(joints: int) -> int:
    """Return the number of joints rounded up to whole SIMD vectors."""
    return (joints + LANES - 1) // LANES * LANES


@fused_kernel
def work_size(kinds: int, rows: int, joints: int, frames: int) -> int:
    """Return how many numbers to work with an interpolation needs at most."""
    lanes = padded_lanes(joints)
    systems = kinds * (rows * rows * (lanes + 1) + 2 * rows * lanes + lanes)
    scratch = rows + rows * frames + frames + 2 * frames
    prepared = 4 * rows * lanes + 2 * joints + 3 * frames * joints
    return systems + scratch + prepared


@fused_kernel
def _parts(
    work: Doubles, kinds: int, rows: int, lanes: int
) -> tuple[Doubles, Doubles, Doubles, Doubles, Doubles]:
    """Cut all factors (M, r, r, K), one factor (M, r, r), sides, shares and the rest out."""
    first = kinds * rows * rows * lanes
    second = first + kinds * rows * rows
    third = second + kinds * 2 * rows * lanes
    fourth = third + kinds * lanes
    return (
        work[:first].reshape(kinds, rows, rows, lanes),
        work[first:second].reshape(kinds, rows, rows),
        work[second:third].reshape(kinds, rows, 2, lanes),
        work[third:fourth].reshape(kinds, lanes),
        work[fourth:],
    )


@fused_kernel
def evidence(
    priors: Doubles,
    log_odds: Doubles,
    keys: Keys,
    values: Doubles,
    variances: Doubles,
    joints: int,
    work: Doubles,
) -> float:
    """Return the log-likelihood of key values, up to a constant; arguments as in `posterior`."""
    rows, lanes = variances.shape
    lows, ones, sides, likelihoods, _ = _parts(work, len(priors), rows, lanes)
    alike = have_equal_variances(variances)
    weigh(priors, keys, values, variances, alike, True, lows, ones, sides, likelihoods)
    return log_of_mean(likelihoods, log_odds, joints)


@fused_kernel
def posterior(
    priors: Doubles,
    log_odds: Doubles,
    trust: float,
    keys: Keys,
    values: Doubles,
    variances: Doubles,
    want_variance: bool,
    work: Doubles,
    mean: Doubles,
    variance: Doubles,
) -> None:
    """Write what key values say about all frames, as `..hpim.posterior_numpy` does.

    Args:
        priors: (M, T, T) covariances between frames, for each kind of movement.
        log_odds: (M,).
        trust: how much a joint's likelihood tells of its kind.
        keys: (r,).
        values: (r, 2, lanes), 0 where a joint is not seen.
        variances: (r, lanes), `UNSEEN` where a joint is not seen.
        want_variance: whether to work out the variance.
        work: as `_parts` cuts it.
        mean: (K, 2, T) receives the expectation.
        variance: (K, T) receives the variance, if it is wanted.
    """
    rows, lanes = variances.shape
    lows, ones, sides, shares, rest = _parts(work, len(priors), rows, lanes)
    alike = have_equal_variances(variances)
    weigh(priors, keys, values, variances, alike, False, lows, ones, sides, shares)
    if len(priors) > 1:
        share(shares, log_odds, trust)
    else:
        shares[:] = 1
    mean[:] = 0
    if want_variance:
        variance[:] = 0
    for m in range(len(priors)):
        if not shares[m].max() > 0:
            continue
        if alike:
            solve_backward_shared(ones[m], rest[:rows], sides[m].reshape(rows, 2 * lanes))
        else:
            solve_backward(lows[m], sides[m])
        if want_variance:
            _add_kind(
                priors[m], keys, alike, lows[m], ones[m], shares[m], sides[m], rest, mean, variance
            )
        else:
            add_paths(priors[m], keys, shares[m], sides[m], mean)
    if want_variance:
        for k in range(len(mean)):
            centre_moments(mean[k], variance[k])


@fused_kernel
def _add_kind(
    prior: Doubles,
    keys: Keys,
    alike: bool,
    lows: Doubles,
    one: Doubles,
    shares: Doubles,
    gains: Doubles,
    work: Doubles,
    mean: Doubles,
    variance: Doubles,
) -> None:
    """Add a kind's share of what it expects, and of its second moments, joint by joint."""
    (joints, frames), rows = variance.shape, len(keys)
    left, path = work[:frames], work[frames : 3 * frames].reshape(2, frames)
    columns = work[3 * frames : (3 + rows) * frames].reshape(rows, frames)
    if alike:
        remaining_variance(prior, keys, one, columns, left)
    for k in range(joints):
        if shares[k] > 0:
            if not alike:
                for i in range(rows):
                    for p in range(i + 1):
                        one[i, p] = lows[i, p, k]
                remaining_variance(prior, keys, one, columns, left)
            path[:] = 0
            add_path(prior, keys, 1.0, gains[:, :, k], path[0], path[1])
            add_moments(shares[k], path, left, mean[k], variance[k])
