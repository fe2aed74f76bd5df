"""Which key frames would have been best: what a selector is taught."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation import Interpolation, PoseInterpolator

Floats = NDArray[np.float32]

#: Errors count up to this, in sides of the person's box: how wrong a joint is beyond it is chance.
CAP = 0.15
#: Key frames per 40 frames that targets are the mean of, and how far one is moved at a time.
BUDGETS, REACH = (4, 8), 3
#: Rounds of moving each key frame at most; targets are smeared by so many frames.
ROUNDS, SMEAR = 2, 1.2


class RecoveryError:
    """Measures how well the key frames of a clip recover all of its poses.

    Args:
        poses: (T, K, 3) what the network says of each frame.
        truth: (T, K, 2) where the joints are.
        visible: (T, K) where that is known.
        interpolator: with a window of T frames or more.
    """

    def __init__(
        self,
        poses: Floats,
        truth: Floats,
        visible: NDArray[np.bool_],
        interpolator: PoseInterpolator,
    ) -> None:
        self._poses, self._truth, self._visible = poses.astype(np.float32), truth, visible
        self._interpolator = interpolator
        self._size = person_size(truth, visible)
        self._buffers = Interpolation.empty(len(poses), poses.shape[1])

    def __call__(self, keys: Sequence[int]) -> float:
        """Return the mean error of the joints, in sides of the person's box."""
        found = self._interpolator.interpolate(
            list(keys),
            self._poses[list(keys)],
            frames=len(self._poses),
            scale=self._size,
            uncertain=False,
            out=self._buffers,
        ).poses
        apart = np.hypot(*np.moveaxis(found - self._truth, -1, 0)) / self._size
        counted = np.minimum(np.nan_to_num(apart, nan=CAP), CAP)[self._visible]
        return float(counted.mean())


def person_size(truth: Floats, visible: NDArray[np.bool_]) -> float:
    """Return the median over frames of the longer side of the box around visible joints."""
    seen = visible.any(axis=1)
    low = np.where(visible[..., None], truth, np.inf)[seen].min(axis=1)
    high = np.where(visible[..., None], truth, -np.inf)[seen].max(axis=1)
    return max(float(np.median((high - low).max(axis=1))), 1.0)


def best_keys(error: RecoveryError, frames: int, count: int) -> list[int]:
    """Return key frames from which none is better moved alone, starting from even times."""
    keys = [int((index + 0.5) * frames / count) for index in range(count)]
    least = error(keys)
    for _ in range(ROUNDS):
        before = least
        for index in range(count):
            for moved in _moves(keys, index, frames):
                value = error(moved)
                if value < least:
                    least, keys = value, moved
        if least == before:
            break
    return keys


def _moves(keys: list[int], index: int, frames: int) -> list[list[int]]:
    low = keys[index - 1] + 1 if index else 0
    high = keys[index + 1] if index + 1 < len(keys) else frames
    places = range(max(low, keys[index] - REACH), min(high, keys[index] + REACH + 1))
    return [[*keys[:index], at, *keys[index + 1 :]] for at in places if at != keys[index]]


def target_rates(chosen: Sequence[Sequence[int]], frames: int) -> Floats:
    """Return the rate (T,) of key frames, of mean 1, that selections of several sizes show."""
    density = np.zeros(frames)
    for keys in chosen:
        density[list(keys)] += 1 / len(keys)
    shape = np.exp(-0.5 * (np.arange(-4, 5) / SMEAR) ** 2)
    smeared = np.convolve(density, shape, "full")[4:-4]
    # Near the ends less is smeared in.
    smeared /= np.convolve(np.ones(frames), shape, "full")[4:-4]
    rates: Floats = np.asarray(smeared / smeared.mean(), np.float32)
    return rates
