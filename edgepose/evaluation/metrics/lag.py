"""How many frames a track comes late: the shift in time that suits the annotation best.

Only where joints are fast does lateness show. There the track is compared with the annotation of
some frames before and after; a parabola through the least error and its neighbours gives parts of
frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.floating]

SHIFTS = range(-2, 5)
"""Frames by which the annotation is shifted; a later one is a track that lags."""

FAST = 3.0
"""Joints are fast from this speed on, in torsos per second: about the fastest tenth of JHMDB."""

LARGEST_ERROR = 0.5
"""In torsos; further off it is a mistake of the network, which says nothing about time."""

_KERNEL = np.array([1, 4, 6, 4, 1]) / 16
"""Smooths the annotation. Where it shakes, its mean over frames fits anything better than single
frames do, which would draw the parabola to the middle between frames."""


@dataclass(frozen=True)
class LagErrors:
    """Errors at each of ``SHIFTS``; those of several clips are added with ``+``.

    Attributes:
        sums: (S,) of squared errors in torsos.
        terms: how many joints of frames were fast.
    """

    sums: FloatArray
    terms: int

    def __add__(self, other: LagErrors) -> LagErrors:
        return LagErrors(self.sums + other.sums, self.terms + other.terms)

    @property
    def frames(self) -> float:
        """The lag in frames; NaN where nothing was fast."""
        if not self.terms:
            return float("nan")
        best = int(np.clip(self.sums.argmin(), 1, len(SHIFTS) - 2))
        before, least, after = self.sums[best - 1 : best + 2]
        bend = before - 2 * least + after
        # Beyond the shifts there is no least error between neighbours, only an end.
        offset = 0.5 * (before - after) / bend if bend > 0 else 0.0
        return float(SHIFTS[best] + np.clip(offset, -1, 1))


def lag_errors(
    predicted: FloatArray,
    truth: FloatArray,
    valid: NDArray[np.bool_],
    lengths: FloatArray,
    fps: float,
) -> LagErrors:
    """Compare a track with the annotation of the frames around each.

    Args:
        predicted: (T, K, 2 or more), x and y in pixels; a joint with NaN does not count.
        truth: (T, K, 2 or more), x and y in pixels.
        valid: (T, K), which joints are annotated.
        lengths: (T,), torso of each frame in pixels.
        fps: frames per second, for what is fast.
    """
    reach = len(_KERNEL) // 2
    path, known = _smoothed(truth[..., :2]), _all_around(valid, reach)
    frames = np.arange(SHIFTS[-1], len(truth) + SHIFTS[0])
    if not len(frames):
        return LagErrors(np.zeros(len(SHIFTS)), 0)
    scale = lengths[frames, None]
    speed = fps * _norm(path[frames + 1] - path[frames - 1]) / 2 / scale
    now = predicted[frames, :, :2]
    counts = (speed >= FAST) & np.isfinite(now).all(axis=-1)
    counts &= np.all([known[frames - shift] for shift in SHIFTS], axis=0)
    errors = [_norm(now - path[frames - shift]) / scale for shift in SHIFTS]
    squares = np.square(np.minimum(errors, LARGEST_ERROR))
    return LagErrors(squares[:, counts].sum(axis=1), int(counts.sum()))


def _smoothed(path: FloatArray) -> FloatArray:
    """Return a path (T, K, 2) smoothed in time; its ends are not to be used."""
    smoothed = np.full(path.shape, np.nan)
    if len(path) >= len(_KERNEL):
        windows = np.lib.stride_tricks.sliding_window_view(path, len(_KERNEL), axis=0)
        reach = len(_KERNEL) // 2
        smoothed[reach:-reach] = windows @ _KERNEL
    return smoothed


def _all_around(valid: NDArray[np.bool_], reach: int) -> NDArray[np.bool_]:
    """Say of which joints (T, K) the frames from ``reach`` before to ``reach`` after are valid."""
    around = np.zeros_like(valid)
    count = 2 * reach + 1
    if len(valid) >= count:
        windows = np.lib.stride_tricks.sliding_window_view(valid, count, axis=0)
        around[reach:-reach] = windows.all(axis=-1)
    return around


def _norm(vectors: FloatArray) -> FloatArray:
    return np.asarray(np.linalg.norm(vectors, axis=-1))
