"""Milliseconds per frame over the number of people, in composed crowds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.people.composing import Image, compose, empty_background
from benchmarks.people.cutouts import Cutout
from benchmarks.people.scenes import FRAMES, Scene, Walk
from edgepose.evaluation.protocols.several import PeopleTracker
from edgepose.evaluation.report import Table, figure
from edgepose.inference.model import PoseModel, load
from edgepose.people.settings import SeveralPeople
from edgepose.results import PoseResult
from edgepose.tracker import PoseTracker

COUNTS = (1, 2, 4, 6, 10, 20)
FRAME_MS = 1000 / 30
DEADLINE_MS = 33.0
#: Frames before any are timed.
WARMUP = 12
#: Takes a frame and its time in ms.
Step = Callable[[Image, float], Any]


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
        peer_ms: of another tracker; ``None`` where there is none.
    """

    people: int
    followed: float
    one_ms: float
    every_ms: float
    key_frames_ms: float
    deadline_ms: float
    deadline_p95_ms: float
    longest_wait: int
    peer_ms: float | None


def time_people(
    model: str | Path,
    people: Sequence[Sequence[Cutout]],
    counts: Sequence[int],
    frames: int,
    num_threads: int,
    new_peer: Callable[[PoseModel], PeopleTracker] | None = None,
) -> list[Timing]:
    """Time each number of people; all trackers take turns frame by frame.

    Args:
        model: name or folder of a bundle.
        people: who is composed into crowds.
        counts: how many of them, each from 1 to 20.
        frames: how many are timed.
        num_threads: of each network.
        new_peer: makes another tracker that has the model's detector; ``None`` for none.
    """
    with load(model, num_threads=num_threads) as loaded:
        return [
            _time(loaded, _pictures(people, count), count, frames, new_peer) for count in counts
        ]


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
        "peer",
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
            "" if each.peer_ms is None else figure(each.peer_ms),
        )
        for each in timings
    )
    return Table("ms per frame", header, rows)


def _pictures(people: Sequence[Sequence[Cutout]], count: int) -> list[Image]:
    frames = compose(crowd(count), people, empty_background(0), seed=0)
    pictures = [frame.image for frame in frames]
    return [*pictures, *pictures[-2:0:-1]]


def _time(
    model: PoseModel,
    pictures: Sequence[Image],
    count: int,
    frames: int,
    new_peer: Callable[[PoseModel], PeopleTracker] | None,
) -> Timing:
    several = SeveralPeople(max_people=max(count, 2))
    trackers = {
        "one": PoseTracker(model),
        "every": PoseTracker(model, max_people=several),
        "keys": PoseTracker(model, max_people=several, key_frames="auto"),
        "deadline": PoseTracker(model, max_people=several, deadline_ms=DEADLINE_MS),
    }
    steps: dict[str, Step] = {name: partial(_track, each) for name, each in trackers.items()}
    if new_peer is not None:
        steps["peer"] = new_peer(model).track
    took, results = _run(steps, pictures, frames)
    for tracker in trackers.values():
        tracker.close()
    means = {name: float(np.mean(values)) for name, values in took.items()}
    return Timing(
        people=count,
        followed=float(np.mean([len(result.people) for result in results["every"][WARMUP:]])),
        one_ms=means["one"],
        every_ms=means["every"],
        key_frames_ms=means["keys"],
        deadline_ms=float(np.median(took["deadline"])),
        deadline_p95_ms=float(np.percentile(took["deadline"], 95)),
        longest_wait=longest_wait(results["deadline"]),
        peer_ms=means.get("peer"),
    )


def _track(tracker: PoseTracker, image: Image, timestamp_ms: float) -> PoseResult:
    return tracker.track(image, timestamp_ms=timestamp_ms)


def _run(
    steps: Mapping[str, Step], pictures: Sequence[Image], frames: int
) -> tuple[dict[str, list[float]], dict[str, list[Any]]]:
    """Return what each took per frame in ms, without the first frames, and all its results."""
    took: dict[str, list[float]] = {name: [] for name in steps}
    results: dict[str, list[Any]] = {name: [] for name in steps}
    for index in range(WARMUP + frames):
        for name, step in steps.items():
            start = time.perf_counter()
            results[name].append(step(pictures[index % len(pictures)], index * FRAME_MS))
            took[name].append((time.perf_counter() - start) * 1e3)
    return {name: values[WARMUP:] for name, values in took.items()}, results


def longest_wait(results: Sequence[PoseResult]) -> int:
    """Return for how many frames in a row somebody's pose was predicted, at most."""
    waits: dict[int, int] = {}
    longest = 0
    for result in results:
        for person in result.people:
            waited = waits.get(person.person_id, 0) + 1
            waits[person.person_id] = waited if person.origin == "predicted" else 0
        longest = max([longest, *waits.values()])
    return longest
