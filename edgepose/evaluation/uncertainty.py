"""How sure the figures of an evaluation are, and whether two models differ by more than chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgepose.evaluation.metrics.bootstrap import (
    CONFIDENCE,
    RESAMPLES,
    SEED,
    Interval,
    Resampled,
    weighted_ratio,
)
from edgepose.evaluation.metrics.lag import LagErrors
from edgepose.evaluation.metrics.pck import PckCounts
from edgepose.evaluation.metrics.scoring import Measure, Score
from edgepose.evaluation.report import Table, figure

FloatArray = NDArray[np.floating]
Counts = NDArray[np.int64]

_PERCENT = f"{100 * CONFIDENCE:g} %"


class Row(NamedTuple):
    """The figures of one model."""

    label: str
    figures: Resampled


def figure_names(measures: Sequence[Measure]) -> tuple[str, ...]:
    """Names of what :func:`resample_score` gives, in its order."""
    return (*(measure.label for measure in measures), "jitter", "lag")


def resample_score(score: Score, headline: str) -> Resampled:
    """Resample the films of a score.

    Args:
        score: of one model, on clips of one film or more.
        headline: which mean of each measure, a field of `PckSummary`.

    Returns:
        One mean of every measure in percent, the jitter in percent of the torso and the lag in
        frames; names are those of :func:`figure_names`.
    """

    def figures(counts: Counts) -> FloatArray:
        means = [_means(score, measure, headline, counts) for measure in score.measures]
        return np.stack([*means, _jitter(score, counts), _lag(score, counts)], axis=1)

    return Resampled.of([clip.film for clip in score.clips], figures)


def _means(score: Score, measure: Measure, headline: str, counts: Counts) -> FloatArray:
    """Return one mean of a measure in each resample, (R,)."""
    hits = counts @ np.stack([clip.pck[measure].hits for clip in score.clips])
    scored = counts @ np.stack([clip.pck[measure].scored for clip in score.clips])
    pooled = (PckCounts(*each).summary(score.skeleton) for each in zip(hits, scored, strict=True))
    return np.array([getattr(summary, headline) for summary in pooled])


def _jitter(score: Score, counts: Counts) -> FloatArray:
    sums = np.array([clip.jitter.sum() for clip in score.clips])
    return 100 * weighted_ratio(counts, sums, np.array([clip.jitter.size for clip in score.clips]))


def _lag(score: Score, counts: Counts) -> FloatArray:
    sums = counts @ np.stack([clip.lag.sums for clip in score.clips])
    terms = counts @ np.array([clip.lag.terms for clip in score.clips])
    pairs = zip(sums, terms.tolist(), strict=True)
    return np.array([LagErrors(*pair).frames for pair in pairs])


def interval_table(rows: Sequence[Row], names: Sequence[str], groups: str) -> Table:
    """Return the confidence interval of each figure.

    Args:
        rows: at least one, all of the same clips.
        names: of the figures.
        groups: what is resampled, such as ``"films"``.
    """
    count = len(set(rows[0].figures.groups))
    title = f"{_PERCENT} confidence intervals (bootstrap over {count} {groups})"
    cells = (
        (row.label, *map(_interval_text, row.figures.intervals(), map(_digits, names)))
        for row in rows
    )
    return Table(title, ("", *names), tuple(cells))


def difference_table(rows: Sequence[Row], names: Sequence[str]) -> Table:
    """Return how far each of the other rows is from the first, with paired intervals."""
    first, *others = rows
    title = (
        f"difference to {first.label}, with its {_PERCENT} confidence interval "
        "(one that contains 0 may be chance)"
    )
    cells = ((row.label, *_difference_cells(row, first, names)) for row in others)
    return Table(title, ("", *names), tuple(cells))


def uncertainty_tables(rows: Sequence[Row], names: Sequence[str], groups: str) -> list[Table]:
    """Return the intervals, and the differences if there is anything to compare."""
    intervals = interval_table(rows, names, groups)
    return [intervals] if len(rows) < 2 else [intervals, difference_table(rows, names)]


def uncertainty_as_json(rows: Sequence[Row], names: Sequence[str], groups: str) -> dict[str, Any]:
    """Return intervals and differences as plain data, null where there are none."""
    first, *others = rows
    return {
        "confidence": CONFIDENCE,
        "resampled": groups,
        "groups": len(set(first.figures.groups)),
        "resamples": RESAMPLES,
        "seed": SEED,
        "intervals": [{"method": row.label, **_plain(row.figures, names, "value")} for row in rows],
        "differences": [
            {
                "method": row.label,
                "reference": first.label,
                **_plain(row.figures - first.figures, names, "difference"),
            }
            for row in others
        ],
    }


def _difference_cells(row: Row, first: Row, names: Sequence[str]) -> list[str]:
    difference = row.figures - first.figures
    triples = zip(difference.values.tolist(), difference.intervals(), names, strict=True)
    return [_difference_text(value, interval, _digits(name)) for value, interval, name in triples]


def _digits(name: str) -> int:
    return 2 if name == "lag" else 1


def _interval_text(interval: Interval, digits: int) -> str:
    if math.isnan(interval.low):
        return "-"
    return f"{figure(interval.low, digits)} to {figure(interval.high, digits)}"


def _difference_text(value: float, interval: Interval, digits: int) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:+.{digits}f} ({_interval_text(interval, digits)})"


def _plain(figures: Resampled, names: Sequence[str], key: str) -> dict[str, Any]:
    triples = zip(names, figures.values.tolist(), figures.intervals(), strict=True)
    return {
        name: {key: _number(value), "low": _number(low), "high": _number(high)}
        for name, value, (low, high) in triples
    }


def _number(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
