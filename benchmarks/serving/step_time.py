"""What the tracker's own step takes while requests are under way, and while none is."""

from __future__ import annotations

import argparse
import itertools
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.serving.canned import canned_server
from edgepose.loading import bundle_path, load
from edgepose.remote import RemoteHead
from edgepose.tracker import PoseTracker
from edgepose_runtime.bundle import load_bundle
from edgepose_runtime.capture import open_source
from edgepose_runtime.tensors import Array

CLIP = Path(__file__).parents[2] / "samples" / "clips" / "balance.mp4"
DELAY_S = 0.1
INTERVAL_S = 1 / 30
_WARM = 30


def measure(args: argparse.Namespace, _before: dict[str, Any]) -> dict[str, Any]:
    """Track the same frames by turns: with a head that is asked all the time, and hardly ever."""
    bundle = load_bundle(bundle_path(args.model))
    with open_source(CLIP) as source:
        frames = [cv2.resize(f.image, None, fx=0.5, fy=0.5) for f in itertools.islice(source, 90)]
    with canned_server(bundle, DELAY_S) as address, load(args.model, num_threads=1) as model:
        asked = PoseTracker(model, head=RemoteHead(address), reinitialise_every=3)
        quiet = PoseTracker(model, head=RemoteHead(address, shortest_gap=10**9, least_trusted=0))
        with asked, quiet:
            times = _by_turns({"in flight": asked, "none": quiet}, frames, args.frames)
            stats = asked.stats.head
    found = {name: _summary(values) for name, values in times.items()}
    found["p99_ratio"] = round(found["in flight"]["p99"] / found["none"]["p99"], 3)
    found["p50_ratio"] = round(found["in flight"]["p50"] / found["none"]["p50"], 3)
    found["head"] = str(stats)
    print(f"step: {found}")
    return found


def _by_turns(
    trackers: dict[str, PoseTracker], frames: list[Array], count: int
) -> dict[str, list[float]]:
    """Track at 30 frames per second; return what each step took, in ms."""
    times: dict[str, list[float]] = {name: [] for name in trackers}
    start = time.monotonic()
    # There and back again, so that the person does not jump.
    shown = itertools.cycle([*range(len(frames)), *range(len(frames) - 2, 0, -1)])
    for index, shot in zip(range(count + _WARM), shown, strict=False):
        for turn, (name, tracker) in enumerate(trackers.items()):
            due = start + (index + turn / len(trackers)) * INTERVAL_S * len(trackers)
            time.sleep(max(0.0, due - time.monotonic()))
            result = tracker.track(frames[shot], timestamp_ms=index * INTERVAL_S * 1e3)
            if index >= _WARM:
                times[name].append(result.latency["total"])
    return times


def _summary(values: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99)).round(2).tolist()
    return {"frames": len(values), "p50": p50, "p95": p95, "p99": p99}
