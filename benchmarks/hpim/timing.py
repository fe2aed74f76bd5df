"""How long interpolation takes, compiled and in NumPy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.interpolation.dictionary import PoleDictionary
from edgepose_runtime.interpolation.hpim import (
    equal_atoms,
    expected_movement,
    interpolate_numpy,
)
from edgepose_runtime.interpolation.interpolator import WINDOW, Interpolation, PoseInterpolator

Keys = NDArray[np.int64]
Poses = NDArray[np.float32]

JOINTS, KEYS, NOISE = 13, 16, 0.02
#: Turns, and calls in each.
ROUNDS, CALLS = 40, 12


@dataclass(frozen=True)
class Times:
    """Microseconds of a call of `PoseInterpolator.interpolate` and of the same in NumPy.

    Attributes:
        name: what is called.
        p50: median.
        p95: 95th percentile.
        twin_p50: median of the NumPy form.
        ratio: NumPy's median over ours.
    """

    name: str
    p50: float
    p95: float
    twin_p50: float
    ratio: float


def measure_times(dictionary: PoleDictionary) -> list[Times]:
    """Time a window of 40 frames with 13 joints and 16 keys, in every form.

    Poses are a slow movement with noise, so that the kinds of movement are as sure as usual.
    """
    random = np.random.default_rng(0)
    keys = np.sort(random.choice(WINDOW, KEYS, replace=False))
    phase = keys[:, None, None] / (6, 9) + random.uniform(0, 6, (JOINTS, 2))
    poses = np.ones((KEYS, JOINTS, 3), np.float32)
    poses[..., :2] = 200 * (random.uniform(0, 1, (JOINTS, 2)) + 0.1 * np.sin(phase))
    poses[..., :2] += 200 * NOISE * random.standard_normal((KEYS, JOINTS, 2))
    return [*_weighted_times(dictionary, keys, poses), *_published_times(keys, poses)]


def _weighted_times(dictionary: PoleDictionary, keys: Keys, poses: Poses) -> Iterator[Times]:
    scored = poses.copy()
    scored[..., 2] = np.random.default_rng(1).uniform(0.5, 1, poses.shape[:2])
    buffers = Interpolation.empty(WINDOW, JOINTS)
    interpolator, expected = PoseInterpolator(dictionary), expected_movement(dictionary, WINDOW)
    for scores, given in (("equal scores", poses), ("each joint its score", scored)):
        for uncertain in (False, True):
            yield _time(
                f"weighted, {scores}" + (", with uncertainty" if uncertain else ""),
                partial(
                    interpolator.interpolate,
                    keys,
                    given,
                    noise=NOISE,
                    uncertain=uncertain,
                    out=buffers,
                ),
                partial(interpolate_numpy, expected, keys, given, noise=NOISE),
            )


def _published_times(keys: Keys, poses: Poses) -> Iterator[Times]:
    random = np.random.default_rng(0)
    poles = PoleDictionary(random.uniform(0.85, 1.15, 40), random.uniform(0, 1.57, 40))
    buffers = Interpolation.empty(WINDOW, JOINTS)
    plain, equal = PoseInterpolator(poles, method="least-squares"), equal_atoms(poles, WINDOW)
    yield _time(
        "least squares (Eq. 17)",
        lambda: plain.interpolate(keys, poses, out=buffers),
        lambda: interpolate_numpy(equal, keys, poses, fixed=0.0),
    )


def _time(name: str, ours: Callable[[], object], twin: Callable[[], object]) -> Times:
    """Time both in turns of several calls; the first ones of a turn refill the caches."""
    rounds = [(_turn(ours), _turn(twin)) for _ in range(ROUNDS + 1)][1:]
    mine, other = (np.concatenate(taken) for taken in zip(*rounds, strict=True))
    p50, p95 = np.percentile(mine, (50, 95)).tolist()
    twin_p50 = float(np.median(other))
    return Times(name, p50, p95, twin_p50, twin_p50 / p50)


def _turn(call: Callable[[], object]) -> list[float]:
    return [_microseconds(call) for _ in range(CALLS)][CALLS // 2 :]


def _microseconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - start)
