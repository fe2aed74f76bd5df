"""The best key frames that can be found where the network has looked at every frame already."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.dictionary import load_dictionary
from edgepose_runtime.interpolation.hpim import expected_movement

Doubles = NDArray[np.float64]

#: Noise in poses in sides of the person, rounds, and how far a key frame is moved at a time.
RHO, ROUNDS, REACH = 0.02**2, 2, 3


class SearchedKeys:
    """Minimises Eq. 16 on the network's own poses of all frames, by moving key frames one by one.

    That needs the poses that key frames are to save, so it is no selector: it says how much there
    is to gain for one that foresees them.

    Args:
        length: the longest clip.
    """

    def __init__(self, length: int) -> None:
        self._gram: Doubles = expected_movement(load_dictionary(), length).mean_covariance()

    def __call__(self, poses: NDArray[np.floating], count: int) -> list[int]:
        """Return so many key frames of a clip's poses (T, K, 3), starting from even times."""
        places = np.asarray(poses[..., :2], np.float64)
        size = max(float(np.median(np.ptp(places, axis=1).max(axis=1))), 1.0)
        values = places.reshape(len(places), -1) / size
        keys = [int((index + 0.5) * len(values) / count) for index in range(count)]
        least = self.unexplained(values, keys)
        for _ in range(ROUNDS):
            before = least
            for index in range(count):
                for moved in _moves(keys, index, len(values)):
                    left = self.unexplained(values, moved)
                    if left < least:
                        least, keys = left, moved
            if least == before:
                break
        return keys

    def unexplained(self, values: Doubles, keys: list[int]) -> float:
        """Return the mean of what key frames do not say of all values (T, M)."""
        seen = values[keys] - values[keys].mean(axis=0)
        towards = self._gram[: len(values), keys]
        told = towards @ np.linalg.solve(towards[keys] + RHO * np.eye(len(keys)), seen)
        return float(np.abs(values - values[keys].mean(axis=0) - told).mean())


def _moves(keys: list[int], index: int, frames: int) -> list[list[int]]:
    low = keys[index - 1] + 1 if index else 0
    high = keys[index + 1] if index + 1 < len(keys) else frames
    places = range(max(low, keys[index] - REACH), min(high, keys[index] + REACH + 1))
    return [[*keys[:index], at, *keys[index + 1 :]] for at in places if at != keys[index]]
