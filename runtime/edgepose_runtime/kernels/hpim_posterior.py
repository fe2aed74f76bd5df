"""Kernels of what key poses say of all frames, weighing the kinds of movement (HPIM)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.hpim import NEGLIGIBLE, UNSEEN
from edgepose_runtime.kernels.compiling import kernel
from edgepose_runtime.kernels.hpim_systems import (
    LANES,
    add_rows,
    factorise,
    factorise_once,
    solve_backward,
    solve_backward_once,
    solve_forward,
    solve_forward_once,
)

Doubles = NDArray[np.float64]
Keys = NDArray[np.int64]


@kernel
def _alike(variances: Doubles) -> bool:
    """Say whether all joints have the same variances, so that one system serves them all."""
    alike = True
    for i in range(len(variances)):
        row, first = variances[i], variances[i, 0]
        for k in range(len(row)):
            alike &= row[k] == first
    return alike


@kernel
def _pivots(low: Doubles, lanes: Doubles) -> None:
    """Copy the pivots of one factor (r, r) to all joints' factors (r, r, K)."""
    for i in range(len(low)):
        lanes[i, i] = low[i, i]


@kernel
def _likelihoods(low: Doubles, whitened: Doubles, variances: Doubles, out: Doubles) -> None:
    """Write each joint's log-likelihood (K,), up to what all kinds of movement have in common."""
    # What is multiplied stays in range: unseen keys are left out, and seen ones' variance is at
    # least the floor.
    out[:] = 1
    for i in range(len(low)):
        pivot, row = low[i, i], variances[i]
        for k in range(len(out)):
            out[k] *= pivot[k] if row[k] < UNSEEN else 1.0
    # Two coordinates: twice the logarithm of the inverse root of the determinant.
    for k in range(len(out)):
        out[k] = 2 * math.log(out[k])
    for i in range(len(low)):
        x, y, row = whitened[i, 0], whitened[i, 1], variances[i]
        for k in range(len(out)):
            out[k] -= (x[k] * x[k] + y[k] * y[k]) / 2 if row[k] < UNSEEN else 0.0


@kernel
def _weigh(
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
    for m in range(len(priors)):
        sides[m] = values
        if alike:
            factorise_once(priors[m], keys, variances, ones[m])
            solve_forward_once(ones[m], sides[m].reshape(rows, 2 * lanes))
            _pivots(ones[m], lows[m])
        else:
            factorise(priors[m], keys, variances, lows[m])
            solve_forward(lows[m], sides[m])
        if len(priors) > 1 or always:
            _likelihoods(lows[m], sides[m], variances, likelihoods[m])


@kernel
def _shares(likelihoods: Doubles, log_odds: Doubles, trust: float) -> None:
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
            share = math.exp(likelihoods[m, k] - most)
            likelihoods[m, k] = share if share > NEGLIGIBLE else 0.0
            total += likelihoods[m, k]
        for m in range(kinds):
            likelihoods[m, k] /= total


@kernel
def _expect(prior: Doubles, keys: Keys, sides: Doubles, column: Doubles, lines: Doubles) -> None:
    """Add the expectation of all joints in all frames to (T, 2 K); ``column`` (r,) is scratch."""
    for t in range(len(lines)):
        for i in range(len(keys)):
            column[i] = prior[t, keys[i]]
        add_rows(column, sides, 1.0, 0, len(keys), lines[t])


@kernel
def _add_squares(share: Doubles, lines: Doubles, squares: Doubles) -> None:
    """Add a kind's share (K,) of its squared expectation (T, 2 K), the mean of x and y, (T, K)."""
    joints = len(share)
    for t in range(len(squares)):
        x, y, total = lines[t, :joints], lines[t, joints:], squares[t]
        for k in range(joints):
            total[k] += share[k] * (x[k] * x[k] + y[k] * y[k]) / 2


@kernel
def _scale(share: Doubles, sides: Doubles) -> None:
    """Multiply sides (r, 2, K) by a kind's share (K,)."""
    for i in range(len(sides)):
        for c in range(2):
            side = sides[i, c]
            for k in range(len(share)):
                side[k] *= share[k]


@kernel
def _remain(prior: Doubles, keys: Keys, low: Doubles, rows: Doubles, line: Doubles) -> None:
    """Write the variance (T,) that is left with one factor (r, r); ``rows`` (r, T) is scratch."""
    for t in range(len(line)):
        line[t] = prior[t, t]
    for i in range(len(keys)):
        row = rows[i]
        row[:] = prior[keys[i]]
        add_rows(low[i], rows, -1.0, 0, i, row)
        for t in range(len(row)):
            row[t] *= low[i, i]
            line[t] -= row[t] * row[t]


@kernel
def lanes_for(joints: int) -> int:
    """Return how many lanes that many joints take."""
    return (joints + LANES - 1) // LANES * LANES


@kernel
def work_size(kinds: int, rows: int, joints: int, frames: int) -> int:
    """Return how many numbers to work with an interpolation needs at most."""
    lanes = lanes_for(joints)
    systems = kinds * (rows * rows * (lanes + 1) + 2 * rows * lanes + lanes)
    scratch = rows + rows * frames + frames + 2 * frames * lanes
    prepared = 4 * rows * lanes + 2 * joints + 3 * frames * lanes
    return systems + scratch + prepared


@kernel
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


@kernel
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
    kinds, (rows, lanes) = len(priors), variances.shape
    lows, ones, sides, likelihoods, _ = _parts(work, kinds, rows, lanes)
    alike = _alike(variances)
    _weigh(priors, keys, values, variances, alike, True, lows, ones, sides, likelihoods)
    total = 0.0
    for k in range(joints):
        most = -np.inf
        for m in range(kinds):
            most = max(most, likelihoods[m, k] + log_odds[m])
        share = 0.0
        for m in range(kinds):
            share += math.exp(likelihoods[m, k] + log_odds[m] - most)
        total += most + math.log(share)
    return total


@kernel
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
    """Write what key values say about all frames: `edgepose_runtime.hpim.posterior_numpy`.

    Args:
        priors: (M, T, T) covariances between frames, for each kind of movement.
        log_odds: (M,).
        trust: how much a joint's likelihood tells of its kind.
        keys: (r,).
        values: (r, 2, K), 0 where a joint is not seen.
        variances: (r, K), `UNSEEN` where a joint is not seen.
        want_variance: whether to work out the variance.
        work: as `_parts` cuts it.
        mean: (T, 2, K) receives the expectation.
        variance: (T, K) receives the variance, if it is wanted.
    """
    (kinds, frames), (rows, lanes) = priors.shape[:2], variances.shape
    lows, ones, sides, shares, rest = _parts(work, kinds, rows, lanes)
    alike = _alike(variances)
    _weigh(priors, keys, values, variances, alike, False, lows, ones, sides, shares)
    if kinds > 1:
        _shares(shares, log_odds, trust)
    else:
        shares[:] = 1
    column = rest[:rows]
    lines = rest[rows : rows + 2 * frames * lanes].reshape(frames, 2 * lanes)
    rest = rest[rows + 2 * frames * lanes :]
    mean[:], variance[:] = 0, 0
    for m in range(kinds):
        if not shares[m].max() > 0:
            continue
        flat = sides[m].reshape(rows, 2 * lanes)
        if alike:
            solve_backward_once(ones[m], column, flat)
        else:
            solve_backward(lows[m], sides[m])
        if want_variance:
            lines[:] = 0
            _expect(priors[m], keys, flat, column, lines)
            _add_squares(shares[m], lines, variance)
            _add_remainder(priors[m], keys, alike, lows[m], ones[m], shares[m], rest, variance)
        _scale(shares[m], sides[m])
        _expect(priors[m], keys, flat, column, mean.reshape(frames, 2 * lanes))
    if want_variance:
        for t in range(frames):
            x, y, spread = mean[t, 0], mean[t, 1], variance[t]
            for k in range(lanes):
                spread[k] = max(spread[k] - (x[k] * x[k] + y[k] * y[k]) / 2, 0.0)


@kernel
def _add_remainder(
    prior: Doubles,
    keys: Keys,
    alike: bool,
    lows: Doubles,
    one: Doubles,
    share: Doubles,
    work: Doubles,
    variance: Doubles,
) -> None:
    """Add a kind's share of the variance that it leaves to the variance (T, K)."""
    (frames, lanes), rows = variance.shape, len(keys)
    left = work[:frames]
    columns = work[frames : frames + rows * frames].reshape(rows, frames)
    if alike:
        _remain(prior, keys, one, columns, left)
        for t in range(frames):
            spread = variance[t]
            for k in range(lanes):
                spread[k] += share[k] * left[t]
        return
    for k in range(lanes):
        if share[k] > 0:
            for i in range(rows):
                for p in range(i + 1):
                    one[i, p] = lows[i, p, k]
            _remain(prior, keys, one, columns, left)
            for t in range(frames):
                variance[t, k] += share[k] * left[t]
