"""Kernels of human pose interpolation (HPIM).

Each joint has a linear system of its own, because its key poses have their own scores. Joints are
the innermost axis of most arrays: all systems are solved side by side, in vector instructions. That
axis is padded to whole registers, with lanes that repeat the first joint's scores.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.hpim import (
    FLOOR,
    LONGEST_CALM,
    LOWEST_SCORE,
    NEGLIGIBLE,
    NOISE_LEVELS,
    SWING,
    UNSEEN,
)
from edgepose_runtime.kernels.compiling import kernel

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Keys = NDArray[np.int64]

#: Doubles that compiled loops take at a time.
LANES = 16


@kernel
def _factorise(prior: Doubles, keys: Keys, variances: Doubles, low: Doubles) -> None:
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


@kernel
def _solve_forward(low: Doubles, sides: Doubles) -> None:
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


@kernel
def _solve_backward(low: Doubles, sides: Doubles) -> None:
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


@kernel
def _factorise_once(prior: Doubles, keys: Keys, variances: Doubles, low: Doubles) -> None:
    """Do what `_factorise` does where all joints have the same variances; ``low`` is (r, r)."""
    for j in range(len(keys)):
        for i in range(j, len(keys)):
            entry = prior[keys[i], keys[j]]
            for p in range(j):
                entry -= low[i, p] * low[j, p]
            low[i, j] = 1 / math.sqrt(entry + variances[j, 0]) if i == j else entry * low[j, j]


@kernel
def _solve_forward_once(low: Doubles, sides: Doubles) -> None:
    """Do what `_solve_forward` does with one factor (r, r); the sides are (r, 2 K)."""
    for i in range(len(sides)):
        side = sides[i]
        _add_rows(low[i], sides, -1.0, 0, i, side)
        pivot = low[i, i]
        for k in range(len(side)):
            side[k] *= pivot


@kernel
def _solve_backward_once(low: Doubles, column: Doubles, sides: Doubles) -> None:
    """Do what `_solve_backward` does with one factor; ``column`` (r,) is scratch."""
    rows = len(sides)
    for i in range(rows - 1, -1, -1):
        side = sides[i]
        for p in range(i + 1, rows):
            column[p] = low[p, i]
        _add_rows(column, sides, -1.0, i + 1, rows, side)
        pivot = low[i, i]
        for k in range(len(side)):
            side[k] *= pivot


@kernel
def _add_rows(
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
            _factorise_once(priors[m], keys, variances, ones[m])
            _solve_forward_once(ones[m], sides[m].reshape(rows, 2 * lanes))
            _pivots(ones[m], lows[m])
        else:
            _factorise(priors[m], keys, variances, lows[m])
            _solve_forward(lows[m], sides[m])
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
        _add_rows(column, sides, 1.0, 0, len(keys), lines[t])


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
        _add_rows(low[i], rows, -1.0, 0, i, row)
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
            _solve_backward_once(ones[m], column, flat)
        else:
            _solve_backward(lows[m], sides[m])
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


@kernel
def calm(keys: Keys, scores: Doubles, joints: int, mean: Doubles) -> None:
    """Keep paths from swinging out between keys: `edgepose_runtime.hpim.calm_numpy`.

    Args:
        keys: (r,).
        scores: (r, lanes), 0 where a joint is not seen.
        joints: how many lanes to look at.
        mean: (T, 2, lanes) is changed.
    """
    for k in range(joints):
        before = -1
        for i in range(len(keys)):
            if not scores[i, k] > 0:
                continue
            if before >= 0 and keys[i] - before <= LONGEST_CALM:
                for c in range(2):
                    one, other = mean[before, c, k], mean[keys[i], c, k]
                    margin = SWING * abs(one - other)
                    low, high = min(one, other) - margin, max(one, other) + margin
                    for t in range(before + 1, keys[i]):
                        mean[t, c, k] = min(max(mean[t, c, k], low), high)
            before = keys[i]


@kernel
def prepare(
    poses: Singles, scale: float, values: Doubles, scores: Doubles, centre: Doubles
) -> float:
    """Centre and scale key poses: `edgepose_runtime.hpim.prepare_numpy`.

    Args:
        poses: (r, K, 3).
        scale: the person's size, or 0 to take it from the joints.
        values: (r, 2, lanes) receives the poses; 0 in the padding.
        scores: (r, lanes) receives the scores, 0 where a joint is not seen.
        centre: (K, 2) receives the mean place of each joint.

    Returns:
        The person's size.
    """
    rows, joints = len(scores), len(centre)
    side = 0.0
    centre[:] = 0
    for i in range(rows):
        left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
        for k in range(joints):
            x, y, score = float(poses[i, k, 0]), float(poses[i, k, 1]), float(poses[i, k, 2])
            seen = math.isfinite(x) and math.isfinite(y) and math.isfinite(score) and score > 0
            scores[i, k] = score if seen else 0.0
            if seen:
                left, right, top, bottom = min(left, x), max(right, x), min(top, y), max(bottom, y)
                centre[k, 0] += x
                centre[k, 1] += y
        side = max(side, right - left, bottom - top)
        scores[i, joints:] = scores[i, 0]
        values[i, :, joints:] = 0
    size = scale if scale > 0 else (side if side > 0 else 1.0)
    for k in range(joints):
        count = 0
        for i in range(rows):
            count += scores[i, k] > 0
        for c in range(2):
            centre[k, c] /= max(count, 1)
            for i in range(rows):
                away = (float(poses[i, k, c]) - centre[k, c]) / size
                values[i, c, k] = away if scores[i, k] > 0 else 0.0
    return size


@kernel
def set_variances(scores: Doubles, noise: float, fixed: float, variances: Doubles) -> None:
    """Write the variances of key poses: `fixed`, or by noise and score where that is below 0."""
    for i in range(len(scores)):
        for k in range(scores.shape[1]):
            known = (noise / max(scores[i, k], LOWEST_SCORE)) ** 2 + FLOOR
            variances[i, k] = (known if fixed < 0 else fixed) if scores[i, k] > 0 else UNSEEN


@kernel
def emit(
    mean: Doubles,
    variance: Doubles,
    scores: Doubles,
    centre: Doubles,
    size: float,
    first: int,
    uncertain: bool,
    poses: Singles,
    uncertainty: Singles,
) -> None:
    """Write frames from `first` on in the unit of the poses; a joint without a key is NaN.

    Args:
        mean: (T, 2, lanes) expectation.
        variance: (T, lanes).
        scores: (r, lanes) of the key poses.
        centre: (K, 2).
        size: of the person.
        first: the first frame to write.
        uncertain: whether the variance is known; the uncertainty is NaN otherwise.
        poses: (n, K, 2) receives the poses.
        uncertainty: (n, K) receives the standard deviations.
    """
    joints = len(centre)
    uncertainty[:] = np.nan
    for t in range(len(poses)):
        x, y, spread = mean[first + t, 0], mean[first + t, 1], variance[first + t]
        for k in range(joints):
            poses[t, k, 0] = x[k] * size + centre[k, 0]
            poses[t, k, 1] = y[k] * size + centre[k, 1]
        if uncertain:
            for k in range(joints):
                uncertainty[t, k] = math.sqrt(spread[k]) * size
    for k in range(joints):
        seen = False
        for i in range(len(scores)):
            seen |= scores[i, k] > 0
        if not seen:
            poses[:, k] = np.nan
            uncertainty[:, k] = np.inf


@kernel
def prepared_parts(
    work: Doubles, rows: int, joints: int, frames: int
) -> tuple[Doubles, Doubles, Doubles, Doubles, Doubles, Doubles, Doubles]:
    """Cut values, scores, variances, centre, mean, variance and the rest out of one array."""
    lanes = lanes_for(joints)
    each, paths = rows * lanes, 2 * frames * lanes
    rest = work[4 * each + 2 * joints :]
    return (
        work[: 2 * each].reshape(rows, 2, lanes),
        work[2 * each : 3 * each].reshape(rows, lanes),
        work[3 * each : 4 * each].reshape(rows, lanes),
        work[4 * each : 4 * each + 2 * joints].reshape(joints, 2),
        rest[:paths].reshape(frames, 2, lanes),
        rest[paths : paths + frames * lanes].reshape(frames, lanes),
        rest[paths + frames * lanes :],
    )


@kernel
def interpolate_keys(
    covariances: Doubles,
    log_odds: Doubles,
    trust: float,
    keys: Keys,
    poses: Singles,
    scale: float,
    noise: float,
    fixed: float,
    first: int,
    want_variance: bool,
    work: Doubles,
    out_poses: Singles,
    out_uncertainty: Singles,
) -> None:
    """Do the whole of an interpolation: `edgepose_runtime.hpim.interpolate_numpy`.

    Args:
        covariances: (M, T, T).
        log_odds: (M,).
        trust: in a joint's likelihood.
        keys: (r,).
        poses: (r, K, 3).
        scale: of the person, or 0 to take it from the joints.
        noise: of key poses with score 1, in sides of the person's box; below 0 to find it out.
        fixed: variance of all key poses, or below 0 to take it from noise and scores.
        first: the first frame to write.
        want_variance: whether to work out the uncertainty; it is NaN otherwise.
        work: at least `work_size` numbers.
        out_poses: (n, K, 2) receives frames from `first` on.
        out_uncertainty: (n, K).
    """
    (rows, joints), frames = poses.shape[:2], covariances.shape[1]
    values, scores, variances, centre, mean, variance, rest = prepared_parts(
        work, rows, joints, frames
    )
    size = prepare(poses, scale, values, scores, centre)
    if noise < 0 and fixed < 0:
        best = -np.inf
        for level in NOISE_LEVELS:
            set_variances(scores, level, fixed, variances)
            likely = evidence(covariances, log_odds, keys, values, variances, joints, rest)
            if likely > best:
                best, noise = likely, level
    set_variances(scores, noise, fixed, variances)
    posterior(
        covariances, log_odds, trust, keys, values, variances, want_variance, rest, mean, variance
    )
    if fixed < 0:
        calm(keys, scores, joints, mean)
    emit(mean, variance, scores, centre, size, first, want_variance, out_poses, out_uncertainty)


@kernel
def rise(keys: Keys) -> bool:
    """Say whether each key frame comes after the one before."""
    rising = True
    for i in range(1, len(keys)):
        rising &= keys[i] > keys[i - 1]
    return rising
