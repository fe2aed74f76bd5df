"""The mathematics of human pose interpolation (HPIM; docs/background/key-frames.md), in NumPy.

With a dictionary D and independent coefficients of variance w, a joint's path is a Gaussian process
with the covariance ``G = D diag(w) D^T`` between frames. Seen at key frames with independent noise,
its expectation is the solution of a weighted ridge regression; Eq. 17 of the paper is the case of
equal weights without noise. Where a dictionary knows several kinds of movement, each has weights of
its own, and the key poses tell which one a joint follows: the result is the mean over the kinds.

These are the twins of the kernels in `edgepose_runtime.interpolation.kernels.hpim`.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.dictionary import Dictionary, Doubles

#: The variance that is added to every key pose, in squared sides of the person's box, and as a
#: part of the mean prior variance: it keeps a system solvable that is singular otherwise.
FLOOR, RELATIVE_FLOOR = 1e-9, 1e-10
#: The variance that stands for a joint that was not seen.
UNSEEN = 1e30
#: A kind of movement so much rarer in a joint than its commonest is left out.
NEGLIGIBLE = 0.01
#: A score below this counts as this: noise grows no further.
LOWEST_SCORE = 0.1
#: What noise is looked for where it is not known, in sides of the person's box.
NOISE_LEVELS = (0.0, 0.0025, 0.005, 0.01, 0.02, 0.04, 0.08)
#: Between two key frames no farther apart than `LONGEST_CALM`, a coordinate leaves the range of its
#: values there by at most this part of their difference.
LONGEST_CALM, SWING = 11, 0.1
#: FISTA stops when the codes change by less than this, in the norm of DYAN's code.
TOLERANCE = 1e-4


class Prior(NamedTuple):
    """What to expect of a joint's path over a window.

    Attributes:
        covariances: (M, T, T) between frames, for each of M kinds of movement, in squared sides of
            the person's box.
        log_odds: (M,) how common each kind is.
        trust: how much the likelihood of a joint's key poses tells of its kind.
    """

    covariances: Doubles
    log_odds: Doubles
    trust: float

    def mean_covariance(self) -> Doubles:
        """Return the covariance (T, T) over all kinds of movement, as common as they are."""
        shares = np.exp(self.log_odds - self.log_odds.max())
        mean: Doubles = np.tensordot(shares / shares.sum(), self.covariances, 1)
        return mean


class Keys(NamedTuple):
    """Key poses as the methods want them, in sides of the person's box.

    Attributes:
        values: (r, 2, K) x, y around the joint's centre; 0 for a joint that is not seen.
        scores: (r, K), 0 for a joint that is not seen.
        centre: (K, 2) mean place of each joint, in the unit of the poses.
        size: of the person's box, in the unit of the poses.
    """

    values: Doubles
    scores: Doubles
    centre: Doubles
    size: float


def expected_movement(dictionary: Dictionary, length: int) -> Prior:
    """Return what a dictionary expects of a window: ``D diag(w) D^T`` for each row of weights."""
    atoms, weights, kinds = dictionary.atoms(length), dictionary.weights(length), dictionary.kinds
    covariances = np.einsum("ta,ma,sa->mts", atoms, weights, atoms, optimize=True)
    floor = RELATIVE_FLOOR * np.trace(covariances, axis1=1, axis2=2) / length
    covariances += floor[:, None, None] * np.eye(length)
    return Prior(np.ascontiguousarray(covariances), kinds.log_odds, kinds.trust)


def equal_atoms(dictionary: Dictionary, length: int) -> Prior:
    """Return ``D D^T`` as the prior: Eq. 17."""
    atoms = dictionary.atoms(length)
    covariance = atoms @ atoms.T
    covariance += RELATIVE_FLOOR * np.trace(covariance) / length * np.eye(length)
    return Prior(covariance[None], np.zeros(1), 1.0)


def prepare_numpy(poses: NDArray[np.floating], scale: float | None) -> Keys:
    """Centre and scale key poses (r, K, 3); without a scale it is taken from the joints."""
    scores = np.where(np.isfinite(poses).all(axis=2), np.maximum(poses[:, :, 2], 0), 0.0)
    seen = (scores > 0)[..., None]
    places = np.where(seen, poses[:, :, :2], 0.0)
    size = _person_size(places, seen) if scale is None else scale
    centre = places.sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
    values = np.where(seen, (places - centre) / size, 0.0).swapaxes(1, 2)
    return Keys(values, scores, centre, size)


def _person_size(places: Doubles, seen: NDArray[np.bool_]) -> float:
    """The longest side, over all key poses, of the box around the joints; 1 where there is none."""
    low = np.where(seen, places, np.inf).min(axis=1)
    high = np.where(seen, places, -np.inf).max(axis=1)
    side = float((high - low).max())
    return side if np.isfinite(side) and side > 0 else 1.0


def variances_numpy(scores: Doubles, noise: float) -> Doubles:
    """Return the variance of key poses (r, K) for the noise at score 1."""
    known = (noise / np.clip(scores, LOWEST_SCORE, None)) ** 2 + FLOOR
    return np.where(scores > 0, known, UNSEEN)


def posterior_numpy(
    prior: Prior, key_frames: NDArray[np.int64], values: Doubles, variances: Doubles
) -> tuple[Doubles, Doubles]:
    """Return what key values say about all frames.

    Args:
        prior: what to expect.
        key_frames: (r,) rows of its covariances.
        values: (r, 2, K) what was seen there, 0 where it was not.
        variances: (r, K) of the noise in it, `UNSEEN` where nothing was seen.

    Returns:
        Expectation (K, 2, T) and variance (K, T).
    """
    sides = values.transpose(2, 0, 1)
    systems = _systems(prior, key_frames, variances)
    towards = prior.covariances[:, None, :, key_frames]
    gains = np.linalg.solve(systems, towards.swapaxes(2, 3)).swapaxes(2, 3)
    means = (gains @ sides).swapaxes(2, 3)
    left = np.diagonal(prior.covariances, axis1=1, axis2=2)[:, None] - (gains * towards).sum(3)
    shares = _shares(prior, _likelihoods(systems, sides, variances))
    expectation = np.einsum("mk,mkct->kct", shares, means)
    spread = ((means - expectation) ** 2).mean(axis=2)
    variance = np.einsum("mk,mkt->kt", shares, left + spread)
    return expectation, np.maximum(variance, 0)


def evidence_numpy(
    prior: Prior, key_frames: NDArray[np.int64], values: Doubles, variances: Doubles
) -> float:
    """Return the log-likelihood of key values, up to a constant that no variance changes."""
    systems = _systems(prior, key_frames, variances)
    likelihoods = _likelihoods(systems, values.transpose(2, 0, 1), variances)
    return float(np.logaddexp.reduce(likelihoods + prior.log_odds[:, None], axis=0).sum())


def _systems(prior: Prior, key_frames: NDArray[np.int64], variances: Doubles) -> Doubles:
    """Covariances (M, K, r, r) of the key values."""
    among = prior.covariances[:, key_frames[:, None], key_frames]
    noise = variances.T[:, :, None] * np.eye(len(key_frames))
    systems: Doubles = among[:, None] + noise
    return systems


def _likelihoods(systems: Doubles, sides: Doubles, variances: Doubles) -> Doubles:
    """Log-likelihoods (M, K) of sides (K, r, 2)."""
    factors = np.linalg.cholesky(systems)
    whitened = np.linalg.solve(factors, np.broadcast_to(sides, (len(systems), *sides.shape)))
    logs = np.log(np.diagonal(factors, axis1=2, axis2=3))
    volumes = np.where(variances.T < UNSEEN, logs, 0).sum(axis=2)
    likelihoods: Doubles = -2 * volumes - (whitened**2).sum(axis=(2, 3)) / 2
    return likelihoods


def _shares(prior: Prior, likelihoods: Doubles) -> Doubles:
    """The share (M, K) of each kind of movement in each joint."""
    odds = prior.trust * likelihoods + prior.log_odds[:, None]
    shares: Doubles = np.exp(odds - odds.max(axis=0))
    shares[shares <= NEGLIGIBLE] = 0
    shares /= shares.sum(axis=0)
    return shares


def limit_overshoot_numpy(key_frames: NDArray[np.int64], scores: Doubles, mean: Doubles) -> None:
    """Limit how far paths overshoot between key poses.

    Args:
        key_frames: (r,).
        scores: (r, K), 0 where a joint is not seen.
        mean: (K, 2, T) is changed.
    """
    for joint, path in enumerate(mean):
        seen = key_frames[scores[:, joint] > 0]
        for before, after in pairwise(seen):
            if after - before > LONGEST_CALM:
                continue
            ends = path[:, [before, after]]
            margin = SWING * np.abs(ends[:, :1] - ends[:, 1:])
            low, high = ends.min(1, keepdims=True) - margin, ends.max(1, keepdims=True) + margin
            path[:, before + 1 : after] = np.clip(path[:, before + 1 : after], low, high)


def interpolate_numpy(
    prior: Prior,
    key_frames: NDArray[np.int64],
    poses: NDArray[np.floating],
    *,
    scale: float | None = None,
    noise: float | None = None,
    fixed: float | None = None,
) -> tuple[Doubles, Doubles]:
    """Do the whole of an interpolation.

    Args:
        prior: what to expect.
        key_frames: (r,) frames of the window.
        poses: (r, K, 3) x, y, score.
        scale: of the person, in the unit of the poses; by default taken from the joints.
        noise: of key poses with score 1, in sides of the person's box; by default found out.
        fixed: variance of all key poses, instead of the noise.

    Returns:
        Poses (T, K, 2) and their standard deviations (T, K), in the unit of the poses.
    """
    keys = prepare_numpy(poses, scale)
    if fixed is None:
        level = _likeliest(prior, key_frames, keys) if noise is None else noise
        variances = variances_numpy(keys.scores, level)
    else:
        variances = np.where(keys.scores > 0, fixed, UNSEEN)
    mean, variance = posterior_numpy(prior, key_frames, keys.values, variances)
    if fixed is None:
        limit_overshoot_numpy(key_frames, keys.scores, mean)
    return in_pose_units(mean, variance, keys)


def in_pose_units(mean: Doubles, variance: Doubles, keys: Keys) -> tuple[Doubles, Doubles]:
    """Return poses (T, K, 2) and deviations (T, K) of (K, 2, T) and (K, T) around the keys."""
    unseen = ~(keys.scores > 0).any(axis=0)
    poses = mean.transpose(2, 0, 1) * keys.size + keys.centre
    deviations = np.sqrt(variance.T) * keys.size
    poses[:, unseen], deviations[:, unseen] = np.nan, np.inf
    return poses, deviations


def _likeliest(prior: Prior, key_frames: NDArray[np.int64], keys: Keys) -> float:
    def fit(level: float) -> float:
        return evidence_numpy(prior, key_frames, keys.values, variances_numpy(keys.scores, level))

    return max(NOISE_LEVELS, key=fit)


def fista_numpy(
    atoms: NDArray[np.floating],
    values: NDArray[np.floating],
    sparsity: float,
    iterations: int = 100,
    seen: NDArray[np.bool_] | None = None,
) -> NDArray[np.floating]:
    """Minimise ``1/2 |Y - D C|^2 + sparsity |C|_1`` by FISTA.

    The step is 1/L with the Frobenius norm of ``D^T D`` for L, as in the released code.

    Args:
        atoms: (r, N) D.
        values: (r, L) Y, several right-hand sides.
        sparsity: λ.
        iterations: at most so many.
        seen: (r, L), which values count; all by default.

    Returns:
        (N, L) C.
    """
    mask = np.ones(values.shape) if seen is None else seen.astype(np.float64)
    target = np.where(mask > 0, values, 0)
    step = frobenius_step(atoms)
    codes = np.zeros((atoms.shape[1], values.shape[1]))
    ahead, momentum = codes, 1.0
    for _ in range(iterations):
        moved = ahead + step * (atoms.T @ (target - mask * (atoms @ ahead)))
        shrunk = np.sign(moved) * np.maximum(np.abs(moved) - sparsity * step, 0)
        following = (1 + np.sqrt(1 + 4 * momentum**2)) / 2
        change = shrunk - codes
        ahead = shrunk + (momentum - 1) / following * change
        codes, momentum = shrunk, following
        if np.linalg.norm(change) / values.shape[1] < TOLERANCE:
            break
    return codes


def frobenius_step(atoms: NDArray[np.floating]) -> float:
    """Return the step 1/L of FISTA: one over the Frobenius norm of ``D^T D``."""
    # As D D^T has the same norm, and fewer rows.
    return 1 / max(float(np.linalg.norm(atoms @ atoms.T)), float(np.finfo(np.float32).tiny))
