"""The objective of K-FPN (Eq. 16) minimised frame by frame, for comparison."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.interpolation.dictionary import Dictionary, load_dictionary
from edgepose_runtime.interpolation.hpim import expected_movement

Doubles = NDArray[np.float64]
Features = NDArray[np.floating]

#: Noise in features, in parts of their mean square over a window, and what a key frame costs.
RHO = 0.1
COST = 0.02


class GreedySelector:
    """Minimises the objective of K-FPN (Eq. 16) frame by frame, instead of learning to.

    The next key frame is the one that leaves least unexplained of all features, given how people
    move: ``|(I + G S / rho)^-1 Y|^2 + cost * r``, with S the chosen frames and G what the
    dictionary expects. There is nothing to train, and it never chooses none.

    Args:
        length: the longest window, T.
        dictionary: of dynamics; the shipped one by default.
        rho: see :data:`RHO`.
        cost: of a key frame, in parts of what a window has to explain.
    """

    def __init__(
        self,
        length: int = 40,
        dictionary: Dictionary | None = None,
        rho: float = RHO,
        cost: float = COST,
    ) -> None:
        if length < 1 or rho <= 0 or cost < 0:
            raise ConfigError(
                "A selector needs a window of 1 frame or more, a rho above 0 and a cost of 0 or "
                f"more; got {length}, {rho} and {cost}."
            )
        expected = expected_movement(dictionary or load_dictionary(), length)
        self._prior: Doubles = expected.mean_covariance()
        self._rho, self._cost = rho, cost

    def __call__(self, features: Features, count: int | None = None) -> list[int]:
        """Return the key frames of a window; see :data:`Selector`.

        Raises:
            ConfigError: there is no frame, there are more than the window has, or a count below 1.
        """
        frames = len(features)
        if not 1 <= frames <= len(self._prior) or (count is not None and count < 1):
            raise ConfigError(
                f"A selector for 1 to {len(self._prior)} frames cannot choose {count or 'some'} of "
                f"{frames}."
            )
        covariance = self.expected(frames)
        products = _products(features)
        total, chosen = float(np.trace(products)), list[int]()
        while len(chosen) < min(frames, count or frames):
            change = self._changes(covariance, products)
            change[chosen] = math.inf
            best = int(change.argmin())
            if chosen and count is None and -change[best] <= self._cost * total:
                break
            gain = covariance[best] / (covariance[best, best] + self._rho)
            chosen.append(best)
            products = _explained(products, gain, best)
            covariance -= np.outer(gain, covariance[best])
        return sorted(chosen)

    def expected(self, frames: int) -> Doubles:
        """Return G (n, n): how features around their mean go together, of mean variance 1."""
        around_mean = np.eye(frames) - 1 / frames
        covariance: Doubles = around_mean @ self._prior[:frames, :frames] @ around_mean
        return covariance * frames / max(float(np.trace(covariance)), 1e-12)

    def _changes(self, covariance: Doubles, products: Doubles) -> Doubles:
        """Return by how much each frame as the next one would change what is unexplained, (n,)."""
        scale = np.diagonal(covariance) + self._rho
        linear = (covariance * products).sum(axis=0) / scale
        square = np.square(covariance).sum(axis=0) / np.square(scale)
        change: Doubles = square * np.diagonal(products) - 2 * linear
        return change


def _products(features: Features) -> Doubles:
    """Return the products (n, n) of features around their mean, of mean square 1."""
    values = np.asarray(features, np.float64).reshape(len(features), -1)
    values = values - values.mean(axis=0)
    products: Doubles = values @ values.T
    return products / max(float(np.trace(products)) / len(values), 1e-12)


def _explained(products: Doubles, gain: Doubles, best: int) -> Doubles:
    """Return the products of what is left when the best frame's part is taken from all."""
    row = products[best]
    left: Doubles = products - np.outer(gain, row) - np.outer(row, gain)
    return left + row[best] * np.outer(gain, gain)
