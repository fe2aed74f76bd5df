"""Heat-maps fused with where joints are expected."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.heatmaps.decoding import Floats
from edgepose_runtime.native.library import Kernel, precompiled

Doubles = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ExpectedJoints:
    """Where the joints of a frame are expected, before a network's heat-maps are known.

    Attributes:
        cells: float64 (K, 2) x and y in cells of the heat-maps; NaN where nothing is expected.
        deviations: float64 (K,) the standard deviation of each, in cells, above 0.
        scores: float64 (K,) how sure each joint is, from 0 to 1.
    """

    cells: Doubles
    deviations: Doubles
    scores: Doubles


def fuse_heatmaps(
    heatmaps: Floats, offsets: Doubles, expected: ExpectedJoints, share: float
) -> Floats:
    """Return the weighted mean of heat-maps and of a Gaussian where each joint is expected.

    At the cell u of joint k it is ``(1 - a) p_k(u - d_k) + a s_k exp(-|u - x_k|^2 / 2 v_k^2)``.

    Args:
        heatmaps: p, float32 (K, h, w), of a network.
        offsets: d, float64 (K, 2), how far off the network usually is, in cells: its heat-maps are
            shifted by that first (bilinear, with zeros around them).
        expected: x, v and s. A joint that is not expected anywhere has no Gaussian.
        share: a, from 0 to 1.

    Returns:
        float32 (K, h, w).
    """
    fused = np.empty_like(heatmaps)
    peaks = _peaks(expected)
    _add_expected_peaks()(np.ascontiguousarray(heatmaps), peaks, offsets, share, fused)
    return fused


def fuse_heatmaps_numpy(
    heatmaps: Floats, offsets: Doubles, expected: ExpectedJoints, share: float
) -> Floats:
    """Do what :func:`fuse_heatmaps` does, in NumPy alone."""
    rows, columns = (np.arange(side) for side in heatmaps.shape[1:])
    fused = np.empty_like(heatmaps)
    for joint, (x, y, deviation, score) in enumerate(_peaks(expected)):
        shift_x, shift_y = offsets[joint]
        along_x = np.maximum(0, 1 - np.abs(columns[:, None] - shift_x - columns))
        along_y = np.maximum(0, 1 - np.abs(rows[:, None] - shift_y - rows))
        shifted = along_y @ heatmaps[joint] @ along_x.T
        distance = np.square(rows[:, None] - y) + np.square(columns - x)
        gaussian = score * np.exp(-distance / (2 * deviation**2))
        fused[joint] = (1 - share) * shifted + share * gaussian
    return fused


def _peaks(expected: ExpectedJoints) -> Doubles:
    """Return x, y, deviation and height (K, 4) of each Gaussian."""
    columns = (expected.cells, expected.deviations[:, None], expected.scores[:, None])
    peaks: Doubles = np.ascontiguousarray(np.concatenate(columns, axis=1), np.float64)
    unknown = ~np.isfinite(peaks[:, 0] + peaks[:, 1])
    if unknown.any():
        peaks[unknown] = 0.0, 0.0, 1.0, 0.0
    return peaks


@precompiled
def _add_expected_peaks() -> Kernel:
    from edgepose_runtime.heatmaps.kernels import add_expected_peaks

    return add_expected_peaks
