"""Table 2: which key frames are best, and how many it takes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.keyframes.poses import CLEAN, FrameWisePoses
from benchmarks.keyframes.selection import COUNTS, LENGTH, TRIALS, Choose, SelectionScorer
from edgepose.evaluation.metrics.bootstrap import Resampled
from edgepose.evaluation.metrics.pck import PckCounts

#: What the others are compared with: what the tracker of files does by default.
REFERENCE = "even steps"
MEAN, BEST = "random, mean", f"random, best of {TRIALS} per clip"

#: Of each number of key frames, what is counted in each clip.
ClipCounts = Sequence[Sequence[PckCounts]]


def selection_table(scorer: SelectionScorer, ways: dict[str, Choose]) -> dict[str, Any]:
    """Return the PCK of every way and of random frames, by their number.

    Args:
        scorer: with the poses of every frame.
        ways: to choose key frames, :data:`REFERENCE` among them.

    Returns:
        The figures, their intervals (bootstrap over films), the differences to the reference with
        paired intervals, and from which rate on a point at most is lost.
    """
    rows = {
        name: resampled(scorer, [scorer.by_keys(way, count) for count in COUNTS])
        for name, way in ways.items()
    }
    rows |= _random_rows(scorer)
    differences = {name: row - rows[REFERENCE] for name, row in rows.items() if name != REFERENCE}
    every = scorer.pck([clip.poses[CLEAN] for clip in scorer.clips])
    values = {name: _by_count(row.values.tolist()) for name, row in rows.items()}
    return {
        "every_frame": every,
        "films": len({clip.clip.film for clip in scorer.clips}),
        "pck": values,
        "intervals": {name: _by_count(row.intervals()) for name, row in rows.items()},
        "difference_to_even_steps": {
            name: {
                "value": _by_count(difference.values.tolist()),
                "interval": _by_count(difference.intervals()),
            }
            for name, difference in differences.items()
        },
        "rate_for_1_point": {name: _rate(values[name], every) for name in ways},
    }


def resampled(scorer: SelectionScorer, counted: ClipCounts) -> Resampled:
    """Return the PCK in percent of each number of key frames, resampled over the films."""

    def figures(weights: np.ndarray) -> np.ndarray:
        return np.stack([_pck(scorer, clips, weights) for clips in counted], axis=1)

    return Resampled.of([clip.clip.film for clip in scorer.clips], figures)


def _pck(scorer: SelectionScorer, clips: Sequence[PckCounts], weights: np.ndarray) -> np.ndarray:
    hits = weights @ np.stack([each.hits for each in clips])
    scored = weights @ np.stack([each.scored for each in clips])
    pooled = (PckCounts(*each) for each in zip(hits, scored, strict=True))
    return np.array([each.summary(scorer.skeleton).limbs12 for each in pooled])


def _random_rows(scorer: SelectionScorer) -> dict[str, Resampled]:
    """Return the mean of random choices, and the best one of each clip, as the K-FPN paper has it.

    The best is chosen by the annotation: a bound of what choosing can gain, not a way to choose.
    """
    trials = [_trials(scorer, count) for count in COUNTS]
    means = [[sum(each[1:], start=each[0]) for each in clips] for clips in trials]
    best = [[max(each, key=lambda one: scorer.pooled([one])) for each in clips] for clips in trials]
    return {MEAN: resampled(scorer, means), BEST: resampled(scorer, best)}


def _trials(scorer: SelectionScorer, count: int) -> list[list[PckCounts]]:
    """Return the counts of random choices, by clip."""
    return [
        [scorer.of_clip(index, random_choice(seed, index), count) for seed in range(TRIALS)]
        for index in range(len(scorer.clips))
    ]


def random_choice(*seed: int) -> Choose:
    """Return a way to choose frames by chance; another seed gives others."""

    def choose(clip: FrameWisePoses, count: int) -> list[int]:
        frames, random = len(clip.clip), np.random.default_rng(seed)
        return sorted(random.choice(frames, min(count, frames), replace=False).tolist())

    return choose


def _by_count(values: Sequence[Any]) -> dict[int, Any]:
    return dict(zip(COUNTS, values, strict=True))


def _rate(by_count: dict[int, float], every: float) -> float | None:
    """Return the key rate, in percent, from which on no more than a point is lost."""
    enough = [count for count in COUNTS if by_count[count] >= every - 1]
    return 100 * min(enough) / LENGTH if enough else None
