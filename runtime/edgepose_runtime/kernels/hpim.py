"""Kernels of human pose interpolation (HPIM).

Each joint has a linear system of its own, because its key poses have their own scores. Joints are
the innermost axis of most arrays: all systems are solved side by side, in vector instructions.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.hpim import (
    FLOOR,
    LOWEST_SCORE,
    NEGLIGIBLE,
    NOISE_LEVELS,
    TOLERANCE,
    UNSEEN,
)
from edgepose_runtime.kernels.compiling import kernel

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Keys = NDArray[np.int64]


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
def _alike(variances: Doubles) -> bool:
    """Say whether all joints have the same variances, so that one system serves them all."""
    for i in range(len(variances)):
        for k in range(1, variances.shape[1]):
            if variances[i, k] != variances[i, 0]:
                return False
    return True


@kernel
def _factorise_once(
    prior: Doubles, keys: Keys, variances: Doubles, one: Doubles, low: Doubles
) -> None:
    """Do what `_factorise` does where all columns of the variances are the same; ``one`` (r, r)."""
    for j in range(len(keys)):
        for i in range(j, len(keys)):
            entry = prior[keys[i], keys[j]]
            for p in range(j):
                entry -= one[i, p] * one[j, p]
            one[i, j] = 1 / math.sqrt(entry + variances[j, 0]) if i == j else entry * one[j, j]
            low[i, j] = one[i, j]


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
def _likelihoods(low: Doubles, whitened: Doubles, variances: Doubles, out: Doubles) -> None:
    """Write each joint's log-likelihood (K,), up to what all kinds of movement have in common."""
    for k in range(len(out)):
        volume, squares = 1.0, 0.0
        for i in range(len(low)):
            if variances[i, k] < UNSEEN:
                volume *= low[i, i, k]
                squares += whitened[i, 0, k] ** 2 + whitened[i, 1, k] ** 2
        # Two coordinates: twice the logarithm of the inverse root of the determinant.
        out[k] = 2 * math.log(volume) - squares / 2


@kernel
def _weigh(
    priors: Doubles,
    keys: Keys,
    values: Doubles,
    variances: Doubles,
    scratch: Doubles,
    lows: Doubles,
    sides: Doubles,
    likelihoods: Doubles,
) -> None:
    """Factorise, solve forward and write the log-likelihoods (M, K) for each kind of movement."""
    alike, rows = _alike(variances), len(keys)
    one = scratch[: rows * rows].reshape(rows, rows)
    for m in range(len(priors)):
        if alike:
            _factorise_once(priors[m], keys, variances, one, lows[m])
        else:
            _factorise(priors[m], keys, variances, lows[m])
        sides[m] = values
        _solve_forward(lows[m], sides[m])
        _likelihoods(lows[m], sides[m], variances, likelihoods[m])


@kernel
def _shares(likelihoods: Doubles, log_odds: Doubles, own: float, pooled: float) -> None:
    """Turn log-likelihoods (M, K) into the shares of each kind of movement in each joint."""
    kinds, joints = likelihoods.shape
    for m in range(kinds):
        mean = likelihoods[m].sum() / joints
        for k in range(joints):
            likelihoods[m, k] = log_odds[m] + own * likelihoods[m, k] + pooled * mean
    for k in range(joints):
        most = likelihoods[:, k].max()
        # What is negligible beside the largest share is left out before they are made to add up.
        total = 0.0
        for m in range(kinds):
            share = math.exp(likelihoods[m, k] - most)
            likelihoods[m, k] = share if share > NEGLIGIBLE else 0.0
            total += likelihoods[m, k]
        for m in range(kinds):
            likelihoods[m, k] /= total


@kernel
def _expect(prior: Doubles, keys: Keys, sides: Doubles, joint: int, lines: Doubles) -> None:
    """Write one joint's expected x and y in all frames, (2, T)."""
    horizontal, vertical = lines[0], lines[1]
    horizontal[:], vertical[:] = 0, 0
    for i in range(0, len(keys) - 1, 2):
        first, second = prior[keys[i]], prior[keys[i + 1]]
        x, y = sides[i, 0, joint], sides[i, 1, joint]
        x2, y2 = sides[i + 1, 0, joint], sides[i + 1, 1, joint]
        for t in range(len(first)):
            horizontal[t] += x * first[t] + x2 * second[t]
            vertical[t] += y * first[t] + y2 * second[t]
    if len(keys) % 2:
        first, x, y = prior[keys[-1]], sides[-1, 0, joint], sides[-1, 1, joint]
        for t in range(len(first)):
            horizontal[t] += x * first[t]
            vertical[t] += y * first[t]


@kernel
def _remain(
    prior: Doubles, keys: Keys, low: Doubles, joint: int, rows: Doubles, line: Doubles
) -> None:
    """Write the variance (T,) that is left in all frames of one joint; rows (r, T) is scratch."""
    for t in range(len(line)):
        line[t] = prior[t, t]
    for i in range(len(keys)):
        row = rows[i]
        row[:] = prior[keys[i]]
        for p in range(i):
            factor, earlier = low[i, p, joint], rows[p]
            for t in range(len(row)):
                row[t] -= factor * earlier[t]
        for t in range(len(row)):
            row[t] *= low[i, i, joint]
            line[t] -= row[t] * row[t]


@kernel
def work_size(kinds: int, rows: int, joints: int, frames: int) -> int:
    """Return how many numbers `interpolate_keys` needs to work with."""
    systems = kinds * (rows * rows * joints + 2 * rows * joints + joints)
    scratch = max(rows * rows + rows, (rows + kinds + 2) * frames)
    prepared = 4 * rows * joints + 2 * joints + 3 * joints * frames
    return systems + scratch + prepared


@kernel
def _parts(
    work: Doubles, kinds: int, rows: int, joints: int
) -> tuple[Doubles, Doubles, Doubles, Doubles]:
    """Cut factors (M, r, r, K), sides (M, r, 2, K), shares (M, K) and the rest out of one array."""
    first = kinds * rows * rows * joints
    second = first + kinds * 2 * rows * joints
    third = second + kinds * joints
    return (
        work[:first].reshape(kinds, rows, rows, joints),
        work[first:second].reshape(kinds, rows, 2, joints),
        work[second:third].reshape(kinds, joints),
        work[third:],
    )


@kernel
def evidence(
    priors: Doubles,
    log_odds: Doubles,
    keys: Keys,
    values: Doubles,
    variances: Doubles,
    work: Doubles,
) -> float:
    """Return the log-likelihood of key values, up to a constant; arguments as in `posterior`."""
    kinds, (rows, joints) = len(priors), variances.shape
    lows, sides, likelihoods, scratch = _parts(work, kinds, rows, joints)
    _weigh(priors, keys, values, variances, scratch, lows, sides, likelihoods)
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
    trust: tuple[float, float],
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
        trust: how much a joint's own likelihood, and the mean of all joints', tells its kind.
        keys: (r,).
        values: (r, 2, K), 0 where a joint is not seen.
        variances: (r, K), `UNSEEN` where a joint is not seen.
        want_variance: whether to work out the variance.
        work: at least `work_size` numbers to work with.
        mean: (K, 2, T) receives the expectation.
        variance: (K, T) receives the variance.
    """
    (kinds, frames), (rows, joints) = priors.shape[:2], variances.shape
    lows, sides, shares, scratch = _parts(work, kinds, rows, joints)
    _weigh(priors, keys, values, variances, scratch, lows, sides, shares)
    _shares(shares, log_odds, trust[0], trust[1])
    for m in range(kinds):
        if shares[m].max() > 0:
            _solve_backward(lows[m], sides[m])
    alike = _alike(variances)
    left = scratch[: kinds * frames].reshape(kinds, frames)
    lines = scratch[kinds * frames : (kinds + 2) * frames].reshape(2, frames)
    columns = scratch[(kinds + 2) * frames :][: rows * frames].reshape(rows, frames)
    mean[:], variance[:] = 0, 0
    for k in range(joints):
        for m in range(kinds):
            share = shares[m, k]
            if not share > 0:
                continue
            _expect(priors[m], keys, sides[m], k, lines)
            for t in range(frames):
                mean[k, 0, t] += share * lines[0, t]
                mean[k, 1, t] += share * lines[1, t]
            if not want_variance:
                continue
            if k == 0 or not alike or not shares[m, :k].max() > 0:
                _remain(priors[m], keys, lows[m], k, columns, left[m])
            for t in range(frames):
                spread = (lines[0, t] ** 2 + lines[1, t] ** 2) / 2
                variance[k, t] += share * (left[m, t] + spread)
        if want_variance:
            for t in range(frames):
                spread = (mean[k, 0, t] ** 2 + mean[k, 1, t] ** 2) / 2
                variance[k, t] = max(variance[k, t] - spread, 0.0)


@kernel
def prepare(
    poses: Singles, scale: float, values: Doubles, scores: Doubles, centre: Doubles
) -> float:
    """Centre and scale key poses: `edgepose_runtime.hpim.prepare_numpy`.

    Args:
        poses: (r, K, 3), any floating type.
        scale: the person's size, or 0 to take it from the joints.
        values: (r, 2, K) receives the poses.
        scores: (r, K) receives the scores, 0 where a joint is not seen.
        centre: (K, 2) receives the mean place of each joint.

    Returns:
        The person's size.
    """
    rows, joints = scores.shape
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
    size = scale if scale > 0 else (side if side > 0 else 1.0)
    for k in range(joints):
        count = max((scores[:, k] > 0).sum(), 1)
        for c in range(2):
            centre[k, c] /= count
            for i in range(rows):
                away = (float(poses[i, k, c]) - centre[k, c]) / size
                values[i, c, k] = away if scores[i, k] > 0 else 0.0
    return size


@kernel
def set_variances(scores: Doubles, noise: float, fixed: float, variances: Doubles) -> None:
    """Write the variances (r, K) of key poses: `fixed`, or by noise and score where that is < 0."""
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
    poses: Singles,
    uncertainty: Singles,
) -> None:
    """Write frames from `first` on in the unit of the poses; a joint without a key is NaN.

    Args:
        mean: (K, 2, T) expectation.
        variance: (K, T).
        scores: (r, K) of the key poses.
        centre: (K, 2).
        size: of the person.
        first: the first frame to write.
        poses: (n, K, 2) receives the poses.
        uncertainty: (n, K) receives the standard deviations.
    """
    for k in range(len(mean)):
        seen = (scores[:, k] > 0).any()
        for t in range(len(poses)):
            for c in range(2):
                place = mean[k, c, first + t] * size + centre[k, c]
                poses[t, k, c] = place if seen else np.nan
            spread = math.sqrt(variance[k, first + t]) * size
            uncertainty[t, k] = spread if seen else np.inf


@kernel
def interpolate_keys(
    covariances: Doubles,
    log_odds: Doubles,
    trust: tuple[float, float],
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
        trust: of a joint's own likelihood, and of the mean of all.
        keys: (r,).
        poses: (r, K, 3), any floating type.
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
    both, each = 2 * rows * joints, rows * joints
    values = work[:both].reshape(rows, 2, joints)
    scores = work[both : both + each].reshape(rows, joints)
    variances = work[both + each : both + 2 * each].reshape(rows, joints)
    work = work[2 * both :]
    centre = work[: 2 * joints].reshape(joints, 2)
    mean = work[2 * joints : 2 * joints * (frames + 1)].reshape(joints, 2, frames)
    work = work[2 * joints * (frames + 1) :]
    variance = work[: joints * frames].reshape(joints, frames)
    work = work[joints * frames :]

    size = prepare(poses, scale, values, scores, centre)
    if noise < 0 and fixed < 0:
        best = -np.inf
        for level in NOISE_LEVELS:
            set_variances(scores, level, fixed, variances)
            likely = evidence(covariances, log_odds, keys, values, variances, work)
            if likely > best:
                best, noise = likely, level
    set_variances(scores, noise, fixed, variances)
    posterior(
        covariances, log_odds, trust, keys, values, variances, want_variance, work, mean, variance
    )
    if not want_variance:
        variance[:] = np.nan
    emit(mean, variance, scores, centre, size, first, out_poses, out_uncertainty)


@kernel
def fista(
    atoms: Singles,
    values: Singles,
    seen: Singles,
    step: float,
    sparsity: float,
    iterations: int,
    work: Singles,
    codes: Singles,
) -> None:
    """Minimise ``1/2 |Y - D C|^2 + sparsity |C|_1``: `edgepose_runtime.hpim.fista_numpy`.

    Args:
        atoms: (r, N) D.
        values: (r, L) Y, 0 where not seen.
        seen: (r, L), 1 where a value counts and 0 elsewhere.
        step: 1/L.
        sparsity: λ.
        iterations: at most so many.
        work: (r L + (N + 1) L) numbers to work with.
        codes: (N, L) receives C.
    """
    (rows, count), lanes = atoms.shape, values.shape[1]
    residual = work[: rows * lanes].reshape(rows, lanes)
    ahead = work[rows * lanes : (rows + count) * lanes].reshape(count, lanes)
    line = work[(rows + count) * lanes : (rows + count + 1) * lanes]
    rate, threshold = np.float32(step), np.float32(step * sparsity)
    codes[:], ahead[:] = 0, 0
    momentum = 1.0
    for _ in range(iterations):
        _residuals(atoms, values, seen, ahead, residual)
        following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
        push = np.float32((momentum - 1) / following)
        momentum = following
        moved = np.float32(0)
        for n in range(count):
            _gradient(atoms, residual, n, line)
            code, next_code = codes[n], ahead[n]
            for lane in range(lanes):
                place = next_code[lane] + rate * line[lane]
                shrunk = max(place - threshold, np.float32(0)) + min(
                    place + threshold, np.float32(0)
                )
                change = shrunk - code[lane]
                next_code[lane] = shrunk + push * change
                code[lane] = shrunk
                line[lane] = change * change
            for lane in range(lanes):
                moved += line[lane]
        if math.sqrt(moved) < TOLERANCE * lanes:
            return


@kernel
def _residuals(
    atoms: Singles, values: Singles, seen: Singles, codes: Singles, residual: Singles
) -> None:
    """Write ``Y - D C`` where it is seen."""
    for i in range(len(atoms)):
        row, weights = residual[i], atoms[i]
        row[:] = values[i]
        # Four atoms at a time quarter the traffic on the row.
        whole = len(weights) // 4 * 4
        for n in range(0, whole, 4):
            one, two, three, four = codes[n], codes[n + 1], codes[n + 2], codes[n + 3]
            a, b, c, d = weights[n], weights[n + 1], weights[n + 2], weights[n + 3]
            for lane in range(len(row)):
                row[lane] -= a * one[lane] + b * two[lane] + c * three[lane] + d * four[lane]
        for n in range(whole, len(weights)):
            one, a = codes[n], weights[n]
            for lane in range(len(row)):
                row[lane] -= a * one[lane]
        for lane in range(len(row)):
            row[lane] *= seen[i, lane]


@kernel
def _gradient(atoms: Singles, residual: Singles, n: int, line: Singles) -> None:
    """Write one row of ``D^T R``."""
    line[:] = 0
    whole = len(atoms) // 4 * 4
    for i in range(0, whole, 4):
        one, two, three, four = residual[i], residual[i + 1], residual[i + 2], residual[i + 3]
        a, b, c, d = atoms[i, n], atoms[i + 1, n], atoms[i + 2, n], atoms[i + 3, n]
        for lane in range(len(line)):
            line[lane] += a * one[lane] + b * two[lane] + c * three[lane] + d * four[lane]
    for i in range(whole, len(atoms)):
        one, a = residual[i], atoms[i, n]
        for lane in range(len(line)):
            line[lane] += a * one[lane]


@kernel
def interpolate_sparsely(
    all_atoms: Singles,
    atoms: Singles,
    step: float,
    sparsity: float,
    iterations: int,
    poses: Singles,
    scale: float,
    first: int,
    work: Doubles,
    sparse_work: Singles,
    out_poses: Singles,
    out_uncertainty: Singles,
) -> None:
    """Interpolate by the sparse codes of the key poses.

    Args:
        all_atoms: (T, N).
        atoms: (r, N) those of the key frames.
        step: of `fista` for them.
        sparsity: λ.
        iterations: at most so many.
        poses: (r, K, 3), any floating type.
        scale: of the person, or 0 to take it from the joints.
        first: the first frame to write.
        work: at least `work_size` numbers.
        sparse_work: at least 2 K (2 N + 3 r + 1) numbers.
        out_poses: (n, K, 2) receives frames from `first` on.
        out_uncertainty: (n, K) receives NaN.
    """
    (rows, joints), (frames, count) = poses.shape[:2], all_atoms.shape
    lanes = 2 * joints
    values = work[: rows * lanes].reshape(rows, 2, joints)
    work = work[rows * lanes :]
    scores = work[: rows * joints].reshape(rows, joints)
    work = work[rows * joints :]
    centre = work[:lanes].reshape(joints, 2)
    mean = work[lanes : lanes * (frames + 1)].reshape(joints, 2, frames)
    variance = work[lanes * (frames + 1) :][: joints * frames].reshape(joints, frames)
    size = prepare(poses, scale, values, scores, centre)
    target = sparse_work[: rows * lanes].reshape(rows, lanes)
    seen = sparse_work[rows * lanes : 2 * rows * lanes].reshape(rows, lanes)
    codes = sparse_work[2 * rows * lanes : (2 * rows + count) * lanes].reshape(count, lanes)
    for i in range(rows):
        for k in range(joints):
            for c in range(2):
                target[i, c * joints + k] = values[i, c, k]
                seen[i, c * joints + k] = scores[i, k] > 0
    fista(
        atoms,
        target,
        seen,
        step,
        sparsity,
        iterations,
        sparse_work[(2 * rows + count) * lanes :],
        codes,
    )
    mean[:], variance[:] = 0, np.nan
    for t in range(frames):
        for n in range(count):
            for c in range(2):
                for k in range(joints):
                    mean[k, c, t] += all_atoms[t, n] * codes[n, c * joints + k]
    emit(mean, variance, scores, centre, size, first, out_poses, out_uncertainty)
