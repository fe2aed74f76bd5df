"""Tables 2 and 3: which key frames are best, and how many it takes, with confidence intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.keyframes.poses import CLEAN, FrameWisePoses
from benchmarks.keyframes.selection import (
    COUNTS,
    LENGTH,
    TRIALS,
    Choose,
    SelectionScorer,
    even_steps,
    scaled,
)
from edgepose.evaluation.metrics.bootstrap import Resampled
from edgepose.evaluation.metrics.pck import PckCounts
from edgepose_runtime.interpolation.interpolator import DEFAULT_NOISE

#: What the others are compared with: what the tracker of files does by default.
REFERENCE = "even steps"
MEAN, BEST = "random, mean", f"random, best of {TRIALS} per clip"
SEARCHED = "searched"
#: How often the search tries to move each key frame, and by how many frames.
SWEEPS, MOVES = 2, (-2, -1, 1, 2)

#: What key poses may be taken to be off, in sides of the person's box; ``None`` to estimate it.
NOISES = (DEFAULT_NOISE, 0.01, 0.03, None)

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


def chosen_table(scorer: SelectionScorer, chosen: dict[str, list[list[int]]]) -> dict[str, Any]:
    """Return how good key frames are whose number a selector chose itself (Table 3).

    Args:
        scorer: with the poses of every frame.
        chosen: the key frames of each clip, by the name of what chose them.

    Returns:
        For each name the PCK and its difference to as many key frames at even steps, with
        intervals, and the mean and deviation of the number of key frames of 40.
    """
    return {name: _chosen_row(scorer, keys) for name, keys in chosen.items()}


def noise_table(scorer: SelectionScorer) -> dict[str, Any]:
    """Return the PCK of even steps by the noise that HPIM takes key poses to have.

    Returns:
        For each noise, ``"estimated"`` for one that the key poses tell, the PCK by the number of
        key frames, and its differences to the default with intervals.
    """
    rows = {}
    for noise in NOISES:
        told = scorer.with_noise(noise)
        counted = [told.by_keys(even_steps, count) for count in COUNTS]
        rows["estimated" if noise is None else f"{noise:g}"] = resampled(told, counted)
    default = rows[f"{DEFAULT_NOISE:g}"]
    return {
        name: {
            "pck": _by_count(row.values.tolist()),
            "difference_to_default": _by_count((row - default).values.tolist()),
            "interval": _by_count((row - default).intervals()),
        }
        for name, row in rows.items()
    }


def _chosen_row(scorer: SelectionScorer, keys: list[list[int]]) -> dict[str, Any]:
    clips = scorer.clips
    even = [even_steps(clip, len(each)) for clip, each in zip(clips, keys, strict=True)]
    own, other = (resampled(scorer, [_of_keys(scorer, way)]) for way in (keys, even))
    difference = own - other
    rates = [LENGTH * len(each) / len(clip.clip) for clip, each in zip(clips, keys, strict=True)]
    return {
        "pck": float(own.values[0]),
        "interval": own.intervals()[0],
        "difference_to_even_steps": float(difference.values[0]),
        "difference_interval": difference.intervals()[0],
        "keys_of_40": float(np.mean(rates)),
        "deviation": float(np.std(rates)),
    }


def _of_keys(scorer: SelectionScorer, keys: list[list[int]]) -> list[PckCounts]:
    return [scorer.of_keys(index, each) for index, each in enumerate(keys)]


def _random_rows(scorer: SelectionScorer) -> dict[str, Resampled]:
    """Return the mean of random choices, the best one of each clip, and what a search makes of it.

    The best, as in the K-FPN paper, and the search know the annotation: bounds of what choosing can
    gain, not ways to choose.
    """
    means, best, searched = (
        list[list[PckCounts]](),
        list[list[PckCounts]](),
        list[list[PckCounts]](),
    )
    for count in COUNTS:
        trials = [_trials(scorer, index, count) for index in range(len(scorer.clips))]
        means.append([sum(each[1:], start=each[0]) for each in trials])
        seeds = [int(np.argmax([scorer.pooled([one]) for one in each])) for each in trials]
        best.append([each[seed] for each, seed in zip(trials, seeds, strict=True)])
        searched.append([_search(scorer, index, count, s) for index, s in enumerate(seeds)])
    rows = {MEAN: means, BEST: best, SEARCHED: searched}
    return {name: resampled(scorer, counted) for name, counted in rows.items()}


def _trials(scorer: SelectionScorer, index: int, count: int) -> list[PckCounts]:
    """Return the counts of random choices of one clip."""
    return [scorer.of_clip(index, random_choice(seed, index), count) for seed in range(TRIALS)]


def _search(scorer: SelectionScorer, index: int, count: int, seed: int) -> PckCounts:
    """Move one key frame after the other, from a random choice, as long as a clip gets better."""
    clip = scorer.clips[index]
    keys = random_choice(seed, index)(clip, scaled(count, len(clip.clip)))
    best = scorer.of_keys(index, keys)
    for _, place in np.ndindex(SWEEPS, len(keys)):
        for move in MOVES:
            moved = keys[place] + move
            if moved in keys or not 0 <= moved < len(clip.clip):
                continue
            tried = sorted([*keys[:place], moved, *keys[place + 1 :]])
            found = scorer.of_keys(index, tried)
            if scorer.pooled([found]) > scorer.pooled([best]):
                keys, best = tried, found
    return best


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
