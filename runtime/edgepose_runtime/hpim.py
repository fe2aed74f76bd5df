"""The mathematics of human pose interpolation (HPIM; SPEC section 5.4), in NumPy.

With a dictionary D and independent coefficients of variance w, a joint's path is a Gaussian process
with the covariance ``G = D diag(w) D^T`` between frames. Seen at key frames with independent noise,
its expectation is the solution of a weighted ridge regression; Eq. 17 of the paper is the case of
equal weights without noise. These are the twins of the compiled kernels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.dynamics import Dictionary, Doubles

#: What is added to the variance of every key pose, as part of the prior's mean variance: it keeps
#: the system solvable where two frames differ by nothing that the dictionary can express.
JITTER = 1e-9
#: The variance that stands for a joint that was not seen.
UNSEEN = 1e30
#: FISTA stops when the coefficients change by less than this, in the norm of SPEC section 5.1.
TOLERANCE = 1e-4


def prior_covariance(dictionary: Dictionary, length: int) -> Doubles:
    """Return ``D diag(w) D^T``, (length, length)."""
    atoms = dictionary.atoms(length)
    covariance: Doubles = (atoms * dictionary.weights) @ atoms.T
    return covariance


def posterior_numpy(
    prior: Doubles, key_frames: NDArray[np.int64], values: Doubles, variances: Doubles
) -> tuple[Doubles, Doubles]:
    """Return what key values say about all frames.

    Args:
        prior: (T, T) covariance between frames.
        key_frames: (r,) rows of it.
        values: (r, K, C) what was seen there; anything where the variance is `UNSEEN`.
        variances: (r, K) of the noise in it.

    Returns:
        Expectation (T, K, C) and variance (T, K).
    """
    among, towards = prior[np.ix_(key_frames, key_frames)], prior[:, key_frames]
    floor = JITTER * np.trace(prior) / len(prior)
    systems = among + (variances.T + floor)[:, :, None] * np.eye(len(key_frames))
    gains = np.linalg.solve(systems, np.broadcast_to(towards.T, (len(systems), *towards.T.shape)))
    expectation: Doubles = np.einsum("krt,krc->tkc", gains, values.swapaxes(0, 1))
    explained = np.einsum("tr,krt->tk", towards, gains)
    variance: Doubles = np.maximum(np.diag(prior)[:, None] - explained, 0)
    return expectation, variance


def fista_numpy(
    atoms: Doubles,
    values: Doubles,
    sparsity: float,
    iterations: int = 100,
    seen: NDArray[np.bool_] | None = None,
) -> Doubles:
    """Minimise ``1/2 |Y - D C|^2 + sparsity |C|_1`` by FISTA (SPEC section 5.1).

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
    step = 1 / max(float(np.linalg.norm(atoms.T @ atoms)), np.finfo(np.float64).tiny)
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
