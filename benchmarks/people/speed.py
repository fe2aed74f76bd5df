"""Milliseconds per frame over the number of people, in composed crowds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.people.composing import Image, compose, empty_background
from benchmarks.people.cutouts import Cutout
from benchmarks.people.scenes import FRAMES, Scene, Walk
from edgepose.evaluation.report import Table, figure
from edgepose.inference.model import PoseModel, load
from edgepose.people.settings import SeveralPeople
from edgepose.tracker import PoseTracker

COUNTS = (1, 2, 4, 6, 10, 20)
FRAME_MS = 1000 / 30
DEADLINE_MS = 33.0
#: Frames before any are timed.
WARMUP = 12


class Timing(NamedTuple):
    """What a number of people costs.

    Attributes:
        people: in the picture.
        followed: on average, in ``every``.
        one_ms: the step of a tracker of one person, in the same rounds.
        every_ms: everybody processed in every frame.
        key_frames_ms: with key frames.
        deadline_ms: with a deadline of ``DEADLINE_MS``; median and 95th percentile.
        deadline_p95_ms: see there.
        longest_wait: frames that somebody was not processed under the deadline, at most.
    """

    people: int
    followed: float
    one_ms: float
    every_ms: float
    key_frames_ms: float
    deadline_ms: float
    deadline_p95_ms: float
    longest_wait: int


def time_people(
    model: str | Path,
    people: Sequence[Sequence[Cutout]],
    counts: Sequence[int],
    frames: int,
    num_threads: int,
) -> list[Timing]:
    """Time each number of people; all trackers take turns frame by frame.

    Args:
        model: name or folder of a bundle.
        people: who is composed into crowds.
        counts: how many of them, each from 1 to 20.
        frames: how many are timed.
        num_threads: of each network.
    """
    with load(model, num_threads=num_threads) as loaded:
        return [_time(loaded, _pictures(people, count), count, frames) for count in counts]


def crowd(count: int) -> Scene:
    """Return a scene of up to 20 people who stand side by side in two rows, and sway a little."""
    sway = 6 * np.sin(np.arange(FRAMES) / 6)
    places = [divmod(index, 10) for index in range(count)]
    walks = [
        Walk(32 + 64 * column + sway, np.full(FRAMES, 120.0 + 220 * row), 120.0)
        for row, column in places
    ]
    return Scene(f"crowd-{count}", tuple(walks))


def table(timings: Sequence[Timing]) -> Table:
    """Return the timings with their ratios to one person's step."""
    header = (
        "people",
        "followed",
        "one, ms",
        "every frame",
        "key frames",
        "33 ms p50",
        "p95",
        "wait",
    )
    rows = tuple(
        (
            str(each.people),
            figure(each.followed),
            figure(each.one_ms, 2),
            f"{figure(each.every_ms, 2)} ({figure(each.every_ms / each.one_ms)}x)",
            f"{figure(each.key_frames_ms, 2)} ({figure(each.key_frames_ms / each.one_ms)}x)",
            figure(each.deadline_ms),
            figure(each.deadline_p95_ms),
            str(each.longest_wait),
        )
        for each in timings
    )
    return Table("ms per frame", header, rows)


def _pictures(people: Sequence[Sequence[Cutout]], count: int) -> list[Image]:
    frames = compose(crowd(count), people, empty_background(0), seed=0)
    pictures = [frame.image for frame in frames]
    return [*pictures, *pictures[-2:0:-1]]


def _time(model: PoseModel, pictures: Sequence[Image], count: int, frames: int) -> Timing:
    several = SeveralPeople(max_people=max(count, 2))
    trackers = {
        "one": PoseTracker(model),
        "every": PoseTracker(model, max_people=several),
        "keys": PoseTracker(model, max_people=several, key_frames="auto"),
        "deadline": PoseTracker(model, max_people=several, deadline_ms=DEADLINE_MS),
    }
    took: dict[str, list[float]] = {name: [] for name in trackers}
    followed: list[int] = []
    waits: dict[int, int] = {}
    longest = 0
    for index in range(WARMUP + frames):
        for name, tracker in trackers.items():
            start = time.perf_counter()
            result = tracker.track(pictures[index % len(pictures)], timestamp_ms=index * FRAME_MS)
            if index >= WARMUP:
                took[name].append((time.perf_counter() - start) * 1e3)
                if name == "every":
                    followed.append(len(result.people))
            if name == "deadline":
                for person in result.people:
                    waited = waits.get(person.person_id, 0) + 1
                    waits[person.person_id] = waited if person.origin == "predicted" else 0
                longest = max([longest, *waits.values()])
    for tracker in trackers.values():
        tracker.close()
    means = {name: float(np.mean(values)) for name, values in took.items()}
    return Timing(
        people=count,
        followed=float(np.mean(followed)),
        one_ms=means["one"],
        every_ms=means["every"],
        key_frames_ms=means["keys"],
        deadline_ms=float(np.median(took["deadline"])),
        deadline_p95_ms=float(np.percentile(took["deadline"], 95)),
        longest_wait=longest,
    )
