"""What a tracker costs: time of a frame, and memory of one more person."""

from __future__ import annotations

import statistics
import tracemalloc
from collections.abc import Callable
from typing import NamedTuple

from edgepose.datasets.clips import Clip
from edgepose.evaluation.protocols.tracker import captured
from edgepose.results import PoseResult
from edgepose.stats import TOTAL
from edgepose.tracker import PoseTracker

RUNS = 5


class Cost(NamedTuple):
    """Mean time from frame to joints in ms, and memory of Python and NumPy in MB."""

    mean_ms: float
    megabytes: float


def cost_of(new_tracker: Callable[..., PoseTracker], clip: Clip) -> Cost:
    """Track a clip several times; of each frame but the first the best time counts.

    The first has the search for the person, which a longer video has as rarely.
    Memory is what one more tracker of a model that is in use holds after the clip.
    """
    runs = [_latencies(new_tracker, clip) for _ in range(RUNS)]
    best = [min(times) for times in zip(*runs, strict=True)]
    return Cost(statistics.fmean(best[1:]), _megabytes(new_tracker, clip))


def _latencies(new_tracker: Callable[..., PoseTracker], clip: Clip) -> list[float]:
    tracker, results = _tracked(new_tracker, clip)
    tracker.close()
    return [result.latency[TOTAL] for result in results]


def _megabytes(new_tracker: Callable[..., PoseTracker], clip: Clip) -> float:
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracker, results = _tracked(new_tracker, clip)
        results.clear()
        after, _ = tracemalloc.get_traced_memory()
        tracker.close()
    finally:
        tracemalloc.stop()
    return (after - before) / 1e6


def _tracked(
    new_tracker: Callable[..., PoseTracker], clip: Clip
) -> tuple[PoseTracker, list[PoseResult]]:
    results: list[PoseResult] = []
    tracker = new_tracker(on_result=results.append, policy="every-frame")
    for frame in captured(clip):
        tracker.submit(frame.image, frame.timestamp_ms)
    tracker.flush()
    return tracker, results
