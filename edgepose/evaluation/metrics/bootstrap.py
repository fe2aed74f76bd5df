"""Confidence intervals by bootstrap over films or photos.

Frames of one film, and people in one photo, are alike: films and photos are drawn with replacement,
each with everything that belongs to it. Percentile intervals; the same seed gives the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError

FloatArray = NDArray[np.floating]

CONFIDENCE = 0.95
RESAMPLES = 1000
SEED = 0


class Interval(NamedTuple):
    """From where to where a figure lies with a confidence of 95 %."""

    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Whether a difference is larger than chance explains."""
        return self.low > 0 or self.high < 0


def draw_counts(
    groups: Sequence[str], resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.int64]:
    """Return how often each item is in each resample, (resamples, N).

    Args:
        groups: the film or photo of each of N items; items of one group are drawn together.
        resamples: how many to draw.
        seed: another one gives others.

    Raises:
        ConfigError: there are no items, or less than one resample is wanted.
    """
    if not groups or resamples < 1:
        raise ConfigError(
            f"A bootstrap needs at least 1 item and 1 resample, not {len(groups)} and {resamples}."
        )
    names, group_of_item = np.unique(list(groups), return_inverse=True)
    chances = np.full(len(names), 1 / len(names))
    counts = np.random.default_rng(seed).multinomial(len(names), chances, size=resamples)
    return np.asarray(counts[:, group_of_item.ravel()], np.int64)


@dataclass(frozen=True)
class Resampled:
    """M figures of one model, and what they are in each of R resamples.

    Attributes:
        groups: the film or photo of each item.
        values: (M,) the figures themselves.
        draws: (R, M) in each resample; all NaN with a single group, which says nothing of others.
    """

    groups: tuple[str, ...]
    values: FloatArray
    draws: FloatArray

    @classmethod
    def of(
        cls,
        groups: Sequence[str],
        figures: Callable[[NDArray[np.int64]], FloatArray],
        resamples: int = RESAMPLES,
        seed: int = SEED,
    ) -> Resampled:
        """Compute figures of all items, and of each resample of the groups.

        Args:
            groups: the film or photo of each of N items.
            figures: takes how often each item counts, (R, N), and returns the figures, (R, M);
                NaN where a resample has nothing to score.
            resamples: how many to draw.
            seed: another one gives others.
        """
        counts = draw_counts(groups, resamples, seed)
        values = figures(np.ones_like(counts[:1]))[0]
        alone = len(set(groups)) < 2
        draws = np.full((resamples, len(values)), np.nan) if alone else figures(counts)
        return cls(tuple(groups), values, draws)

    def __sub__(self, other: Resampled) -> Resampled:
        """The paired difference: both models had the same items in every resample.

        Raises:
            ConfigError: the other's items or resamples are not the same.
        """
        if self.groups != other.groups or self.draws.shape != other.draws.shape:
            raise ConfigError(
                "Paired differences need the same clips, figures and resamples on both sides."
            )
        return Resampled(self.groups, self.values - other.values, self.draws - other.draws)

    def intervals(self) -> list[Interval]:
        """The interval of each figure; NaN to NaN where no resample has anything to score."""
        return [_percentiles(column) for column in self.draws.T]


def weighted_ratio(
    counts: NDArray[np.int64], numerators: FloatArray, denominators: FloatArray
) -> FloatArray:
    """Return sum of numerators over sum of denominators in each resample.

    Args:
        counts: (R, N) how often each item is in each resample.
        numerators: (N, ...) of each item.
        denominators: (N, ...) of each item.

    Returns:
        (R, ...), NaN where the denominators are 0.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(
            np.tensordot(counts, numerators, 1) / np.tensordot(counts, denominators, 1)
        )


def _percentiles(values: NDArray[np.float64]) -> Interval:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return Interval(float("nan"), float("nan"))
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(finite, [tail, 100 - tail])
    return Interval(float(low), float(high))
