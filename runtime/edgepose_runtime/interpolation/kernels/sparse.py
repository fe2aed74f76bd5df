"""Kernels of sparse codes (FISTA), and of interpolation by them."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.hpim import TOLERANCE
from edgepose_runtime.interpolation.kernels.hpim import emit, prepare, prepared_parts
from edgepose_runtime.jit import fused_kernel

Doubles = NDArray[np.float64]
Singles = NDArray[np.float32]

#: Single numbers that compiled loops take at a time.
LANES = 32


@fused_kernel
def fista(
    atoms: Singles,
    values: Singles,
    seen: Singles,
    step: float,
    sparsity: float,
    iterations: int,
    sides: int,
    work: Singles,
    codes: Singles,
) -> None:
    """Minimise ``1/2 |Y - D C|^2 + sparsity |C|_1``: `edgepose_runtime.interpolation.hpim.fista_numpy`.

    Args:
        atoms: (r, N) D.
        values: (r, L) Y, 0 where not seen.
        seen: (r, L), 1 where a value counts and 0 elsewhere.
        step: 1/L.
        sparsity: λ.
        iterations: at most so many.
        sides: how many of the L lanes hold right-hand sides.
        work: (r L + (N + 2) L) numbers to work with.
        codes: (N, L) receives C.
    """
    (rows, count), lanes = atoms.shape, values.shape[1]
    residual = work[: rows * lanes].reshape(rows, lanes)
    ahead = work[rows * lanes : (rows + count) * lanes].reshape(count, lanes)
    line = work[(rows + count) * lanes : (rows + count + 1) * lanes]
    moved = work[(rows + count + 1) * lanes : (rows + count + 2) * lanes]
    rate, threshold = np.float32(step), np.float32(step * sparsity)
    codes[:], ahead[:] = 0, 0
    momentum = 1.0
    for _ in range(iterations):
        _residuals(atoms, values, seen, ahead, residual)
        following = (1 + math.sqrt(1 + 4 * momentum * momentum)) / 2
        push = np.float32((momentum - 1) / following)
        momentum = following
        moved[:] = 0
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
                moved[lane] += change * change
        if math.sqrt(moved.sum()) < TOLERANCE * sides:
            return


@fused_kernel
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


@fused_kernel
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


@fused_kernel
def sparse_work_size(atoms: int, rows: int, joints: int) -> int:
    """Return how many single numbers `interpolate_sparsely` needs to work with."""
    return sparse_lanes_for(joints) * (2 * atoms + 3 * rows + 2)


@fused_kernel
def sparse_lanes_for(joints: int) -> int:
    """Return how many single lanes both coordinates of that many joints take."""
    return (2 * joints + LANES - 1) // LANES * LANES


@fused_kernel
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
        poses: (r, K, 3).
        scale: of the person, or 0 to take it from the joints.
        first: the first frame to write.
        work: at least `work_size` numbers.
        sparse_work: at least `sparse_work_size` numbers.
        out_poses: (n, K, 2) receives frames from `first` on.
        out_uncertainty: (n, K) receives NaN.
    """
    (rows, joints), (frames, count) = poses.shape[:2], all_atoms.shape
    values, scores, _, centre, mean, variance, _ = prepared_parts(work, rows, joints, frames)
    size = prepare(poses, scale, values, scores, centre)

    lanes = sparse_lanes_for(joints)
    target = sparse_work[: rows * lanes].reshape(rows, lanes)
    seen = sparse_work[rows * lanes : 2 * rows * lanes].reshape(rows, lanes)
    codes = sparse_work[2 * rows * lanes : (2 * rows + count) * lanes].reshape(count, lanes)
    target[:], seen[:] = 0, 0
    for i in range(rows):
        for k in range(joints):
            for c in range(2):
                target[i, 2 * k + c] = values[i, c, k]
                seen[i, 2 * k + c] = scores[i, k] > 0
    rest = sparse_work[(2 * rows + count) * lanes :]
    fista(atoms, target, seen, step, sparsity, iterations, 2 * joints, rest, codes)
    mean[:] = 0
    line = rest[:lanes]
    for t in range(frames):
        line[:] = 0
        for n in range(count):
            for lane in range(lanes):
                line[lane] += all_atoms[t, n] * codes[n, lane]
        for k in range(joints):
            for c in range(2):
                mean[k, c, t] = line[2 * k + c]
    emit(mean, variance, scores, centre, size, first, False, out_poses, out_uncertainty)
