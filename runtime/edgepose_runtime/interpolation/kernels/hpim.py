"""Kernels of human pose interpolation (HPIM): from key poses to the poses of a window.

Each joint has a linear system of its own, because its key poses have their own scores.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.hpim import (
    FLOOR,
    LONGEST_CALM,
    LOWEST_SCORE,
    NOISE_LEVELS,
    SWING,
    UNSEEN,
)
from edgepose_runtime.interpolation.kernels.posterior import evidence, padded_lanes, posterior
from edgepose_runtime.jit import fused_kernel

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]
Keys = NDArray[np.int64]


@fused_kernel
def limit_overshoot(keys: Keys, scores: Doubles, mean: Doubles) -> None:
    """Limit how far paths overshoot between key poses: `..hpim.limit_overshoot_numpy`.

    Args:
        keys: (r,).
        scores: (r, lanes), 0 where a joint is not seen.
        mean: (K, 2, T) is changed.
    """
    for k in range(len(mean)):
        before = -1
        for i in range(len(keys)):
            if not scores[i, k] > 0:
                continue
            if before >= 0 and keys[i] - before <= LONGEST_CALM:
                for c in range(2):
                    path = mean[k, c]
                    one, other = path[before], path[keys[i]]
                    margin = SWING * abs(one - other)
                    low, high = min(one, other) - margin, max(one, other) + margin
                    for t in range(before + 1, keys[i]):
                        path[t] = min(max(path[t], low), high)
            before = keys[i]


@fused_kernel
def prepare(
    poses: Singles, scale: float, values: Doubles, scores: Doubles, centre: Doubles
) -> float:
    """Centre and scale key poses: `edgepose_runtime.interpolation.hpim.prepare_numpy`.

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
    inverse = 1 / size
    for k in range(joints):
        count = 0
        for i in range(rows):
            count += scores[i, k] > 0
        for c in range(2):
            centre[k, c] /= max(count, 1)
            for i in range(rows):
                away = (float(poses[i, k, c]) - centre[k, c]) * inverse
                values[i, c, k] = away if scores[i, k] > 0 else 0.0
    return size


@fused_kernel
def set_variances(scores: Doubles, noise: float, fixed: float, variances: Doubles) -> None:
    """Write the variances of key poses: `fixed`, or by noise and score where that is below 0."""
    for i in range(len(scores)):
        for k in range(scores.shape[1]):
            known = (noise / max(scores[i, k], LOWEST_SCORE)) ** 2 + FLOOR
            variances[i, k] = (known if fixed < 0 else fixed) if scores[i, k] > 0 else UNSEEN


@fused_kernel
def write_frames(
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
        mean: (K, 2, T) expectation.
        variance: (K, T).
        scores: (r, lanes) of the key poses.
        centre: (K, 2).
        size: of the person.
        first: the first frame to write.
        uncertain: whether the variance is known; the uncertainty is NaN otherwise.
        poses: (n, K, 2) receives the poses.
        uncertainty: (n, K) receives the standard deviations.
    """
    for k in range(len(centre)):
        x, y, left, top = mean[k, 0, first:], mean[k, 1, first:], centre[k, 0], centre[k, 1]
        for t in range(len(poses)):
            poses[t, k, 0] = x[t] * size + left
            poses[t, k, 1] = y[t] * size + top
        if not uncertain:
            uncertainty[:, k] = np.nan
        else:
            for t in range(len(poses)):
                uncertainty[t, k] = math.sqrt(variance[k, first + t]) * size
        seen = False
        for i in range(len(scores)):
            seen |= scores[i, k] > 0
        if not seen:
            poses[:, k] = np.nan
            uncertainty[:, k] = np.inf


@fused_kernel
def prepared_parts(
    work: Doubles, rows: int, joints: int, frames: int
) -> tuple[Doubles, Doubles, Doubles, Doubles, Doubles, Doubles, Doubles]:
    """Cut values, scores, variances, centre, mean, variance and the rest out of one array."""
    lanes = padded_lanes(joints)
    each, paths = rows * lanes, 2 * frames * joints
    rest = work[4 * each + 2 * joints :]
    return (
        work[: 2 * each].reshape(rows, 2, lanes),
        work[2 * each : 3 * each].reshape(rows, lanes),
        work[3 * each : 4 * each].reshape(rows, lanes),
        work[4 * each : 4 * each + 2 * joints].reshape(joints, 2),
        rest[:paths].reshape(joints, 2, frames),
        rest[paths : paths + frames * joints].reshape(joints, frames),
        rest[paths + frames * joints :],
    )


@fused_kernel
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
    """Do the whole of an interpolation: `edgepose_runtime.interpolation.hpim.interpolate_numpy`.

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
        limit_overshoot(keys, scores, mean)
    write_frames(
        mean, variance, scores, centre, size, first, want_variance, out_poses, out_uncertainty
    )


@fused_kernel
def are_increasing(keys: Keys) -> bool:
    """Return whether each key frame comes after the one before."""
    rising = True
    for i in range(1, len(keys)):
        rising &= keys[i] > keys[i - 1]
    return rising
