"""What the tracker's own step takes while a request is under way, and while none is."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from typing import Any

import numpy as np

from benchmarks.server.fake_server import fake_server
from edgepose.benchmarking.frames import sample_clip
from edgepose.inference.model import bundle_path, load
from edgepose.remote import RemoteHead
from edgepose.tracker import PoseTracker
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.capture import open_source
from edgepose_runtime.tensors import Array

DELAY_S = 0.1
#: Frames from one request to the next: about every second frame has one under way.
EVERY = 6
INTERVAL_S = 1 / 30
_WARM = 30
IN_FLIGHT, NONE, PLAIN = "request under way", "no request under way", "no remote head"


def measure(args: argparse.Namespace, _before: dict[str, Any]) -> dict[str, Any]:
    """Track at 30 frames per second, by turns with a remote head and without one.

    All frames are the same, so that the one answer of the server, which computes nothing, is right
    for all of them.
    """
    bundle = load_bundle(bundle_path(args.model))
    with open_source(sample_clip()) as source:
        frame = next(iter(source)).image
    with fake_server(bundle, DELAY_S) as address, load(args.model, num_threads=1) as model:
        asking = PoseTracker(model, head=RemoteHead(address), reinitialise_every=EVERY)
        with asking, PoseTracker(model) as plain:
            times = _interleaved(asking, plain, frame, args.frames)
            head = str(asking.stats.head)
    found: dict[str, Any] = {name: _summary(values) for name, values in times.items()}
    for part in ("p50", "p95", "p99"):
        found[f"{part}_ratio"] = round(found[IN_FLIGHT][part] / found[NONE][part], 3)
    found["head"] = head
    print(f"step: {found}")
    return found


def _interleaved(
    asking: PoseTracker, plain: PoseTracker, frame: Array, count: int
) -> dict[str, list[float]]:
    """Return what each step took, in ms, from the call to its return."""
    times: dict[str, list[float]] = defaultdict(list)
    start = time.monotonic()
    for index in range(count + _WARM):
        stamp = index * INTERVAL_S * 1e3
        for tracker, late in ((asking, 0.0), (plain, 0.5)):
            time.sleep(max(0.0, start + (index + late) * INTERVAL_S * 2 - time.monotonic()))
            took = _step(tracker, frame, stamp)
            if index >= _WARM:
                times[_kind(tracker)].append(took)
    return times


def _step(tracker: PoseTracker, frame: Array, stamp: float) -> float:
    begin = time.perf_counter()
    tracker.track(frame, timestamp_ms=stamp)
    return (time.perf_counter() - begin) * 1e3


def _kind(tracker: PoseTracker) -> str:
    head = tracker.stats.head
    if head is None:
        return PLAIN
    return IN_FLIGHT if head.in_flight else NONE


def _summary(values: list[float]) -> dict[str, float]:
    p50, p95, p99 = np.percentile(values, (50, 95, 99)).round(2).tolist()
    return {"frames": len(values), "p50": p50, "p95": p95, "p99": p99}
