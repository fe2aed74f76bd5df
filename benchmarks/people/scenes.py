"""Scenes of people who walk past each other: where everybody is in each frame, and who is in front.

Everything follows from a seed. Positions are those of the middle of the joints, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, FPS = 640, 480, 25.0
FRAMES = 150
KINDS = ("cross", "meet", "behind", "leave", "crowd")


@dataclass(frozen=True)
class Walk:
    """The way of one person.

    Attributes:
        x: (T,) middle of the person; outside the picture where the person is away.
        y: (T,), likewise.
        height: how far the joints span from top to bottom, in pixels.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    height: float


@dataclass(frozen=True)
class Scene:
    """A composed video before it is drawn.

    Attributes:
        name: kind and seed.
        walks: of all people, those in front last.
        pillar: (left, right) in pixels of what stands in front of everybody, or ``None``.
    """

    name: str
    walks: tuple[Walk, ...]
    pillar: tuple[int, int] | None = None


def make_scene(kind: str, seed: int) -> Scene:
    """Return a scene of a kind.

    Args:
        kind: one of ``KINDS``: two people cross; two meet, stop side by side and turn round; one
            walks behind a pillar; one leaves the picture and comes back; five walk to and fro.
        seed: everything else follows from it.
    """
    rng = np.random.default_rng([KINDS.index(kind), seed])
    walks = {
        "cross": _cross,
        "meet": _meet,
        "behind": lambda rng: (_straight(rng),),
        "leave": _leave,
        "crowd": lambda rng: tuple(_wander(rng) for _ in range(5)),
    }[kind](rng)
    # Who is lower in the picture is nearer.
    ordered = tuple(sorted(walks, key=lambda walk: float(walk.y.mean())))
    return Scene(f"{kind}-{seed}", ordered, (300, 370) if kind == "behind" else None)


def _depth(rng: np.random.Generator) -> tuple[float, float]:
    """Return the height of a person, and the y that this puts them at."""
    height = float(rng.uniform(130, 190))
    return height, 120 + 0.75 * height


def _walk(x: NDArray[np.float64], rng: np.random.Generator) -> Walk:
    height, y = _depth(rng)
    return Walk(x, np.full(FRAMES, y), height)


def _straight(rng: np.random.Generator) -> Walk:
    ends = (90, 550) if rng.random() < 0.5 else (550, 90)
    return _walk(np.linspace(*ends, FRAMES), rng)


def _cross(rng: np.random.Generator) -> tuple[Walk, ...]:
    ends = rng.uniform(-20, 20, 4) + np.array([90, 550, 550, 90])
    return tuple(_walk(np.linspace(*ends[2 * i : 2 * i + 2], FRAMES), rng) for i in range(2))


def _meet(rng: np.random.Generator) -> tuple[Walk, ...]:
    knots = [0, 60, 90, FRAMES - 1]
    stop = rng.uniform(20, 35)
    ways = ([90, 320 - stop, 320 - stop, 90], [550, 320 + stop, 320 + stop, 550])
    return tuple(_walk(np.interp(np.arange(FRAMES), knots, way), rng) for way in ways)


def _leave(rng: np.random.Generator) -> tuple[Walk, ...]:
    knots = [0, 45, 45 + int(rng.integers(25, 50)), FRAMES - 1]
    leaver = np.interp(np.arange(FRAMES), knots, [450, 780, 780, 300])
    return _walk(leaver, rng), _walk(np.full(FRAMES, rng.uniform(120, 200)), rng)


def _wander(rng: np.random.Generator) -> Walk:
    knots = np.linspace(0, FRAMES - 1, 5)
    return _walk(np.interp(np.arange(FRAMES), knots, rng.uniform(60, 580, 5)), rng)
