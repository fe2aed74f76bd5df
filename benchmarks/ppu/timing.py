"""What each form takes, measured by turns, so that a noisy machine favours none."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from benchmarks.ppu.candidates import JOINTS, SIZE
from benchmarks.ppu.forms import Call

#: Slow forms run less often than quick ones: each gets this much time, but some runs at least.
BUDGET_S = 0.4
LEAST_RUNS, MOST_RUNS = 5, 200


def milliseconds(
    forms: Mapping[str, Mapping[str, Call]], *inputs: NDArray[np.float32]
) -> dict[str, dict[str, float]]:
    """Return the median time of each form, in ms, by candidate and by what runs it.

    Args:
        forms: calls by candidate and by what runs it.
        inputs: what all of them are called with; heat-maps of two frames if there are none.
    """
    calls = {(name, kind): call for name, kinds in forms.items() for kind, call in kinds.items()}
    maps = inputs or (_maps(0), _maps(1))
    left = {key: _runs(call, *maps) for key, call in calls.items()}
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in calls}
    while any(left.values()):
        for key in [key for key, count in left.items() if count]:
            left[key] -= 1
            taken[key].append(_seconds(calls[key], *maps))
    found: dict[str, dict[str, float]] = {name: {} for name in forms}
    for (name, kind), seconds in taken.items():
        found[name][kind] = round(1e3 * float(np.median(seconds)), 3)
    return found


def _runs(call: Call, *maps: NDArray[np.float32]) -> int:
    call(*maps)  # kernels compile, networks allocate
    return int(np.clip(BUDGET_S / _seconds(call, *maps), LEAST_RUNS, MOST_RUNS))


def _seconds(call: Call, *maps: NDArray[np.float32]) -> float:
    start = time.perf_counter()
    call(*maps)
    return time.perf_counter() - start


def _maps(seed: int) -> NDArray[np.float32]:
    """Heat-maps (1, K, h, w) with a peak each, and a little of something everywhere."""
    rng = np.random.default_rng(seed)
    row, column = np.mgrid[:SIZE, :SIZE]
    y, x = rng.uniform(8, SIZE - 8, (2, JOINTS, 1, 1))
    peaks = np.exp(-((row - y) ** 2 + (column - x) ** 2) / 8)
    maps: NDArray[np.float32] = (peaks + 0.01 * rng.random(peaks.shape))[None].astype(np.float32)
    return maps
