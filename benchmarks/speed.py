"""Latency of tracking a clip, stage by stage, and of the peers' networks on the same frames.

``python -m benchmarks speed --help`` lists the options. Writes ``speed.json`` and ``speed.md``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.machine import describe_machine, pin_to_cores
from benchmarks.peers import PEERS
from edgepose.evaluation.report import Table, markdown
from edgepose.loading import DEFAULT_MODEL
from edgepose.stats import TOTAL, StageLatency
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import open_source
from edgepose_runtime.crop import Image
from edgepose_runtime.geometry import PERSON_CROP_FACTOR, Roi

HERE = Path(__file__).parent
CLIP = HERE.parent / "samples" / "clips" / "balance.mp4"
WARMUP_CALLS = 5


class Tracked(NamedTuple):
    """What tracking a clip took, and where the person was: frames with the box around them."""

    model: str
    stages: dict[str, StageLatency]
    frames_per_second: float
    people: list[tuple[Image, Roi]]


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks speed", description=__doc__)
    parser.add_argument("--clip", type=Path, default=CLIP, help="a video (default: the sample)")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--backend", default="openvino", help="runs all networks, ours and others")
    parser.add_argument(
        "--precision", default="float32", help="of all networks: auto, float32, ..."
    )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="CPU threads")
    parser.add_argument("--pin", action="store_true", help="use no more cores than threads")
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    for peer in PEERS:
        parser.add_argument(f"--{peer.option}", type=Path, metavar="FILE", help=f"{peer.name}")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure everybody, print the table and write the results."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(args.threads)
    if args.pin:
        pin_to_cores(args.threads)
    tracked = track(args)
    peers = dict(measure_peers(args, tracked.people))
    content = {
        "format": "edgepose.speed",
        "version": 1,
        "machine": describe_machine(args.threads),
        "options": vars(args),
        "frames_per_second": round(tracked.frames_per_second, 2),
        "stages": {stage: asdict(latency) for stage, latency in tracked.stages.items()},
        "peers": {name: asdict(latency) for name, latency in peers.items()},
    }
    text = report(tracked, peers)
    (args.out / "speed.json").write_text(json.dumps(content, indent=1, default=str) + "\n")
    (args.out / "speed.md").write_text(text)
    print(text)


def track(args: argparse.Namespace) -> Tracked:
    """Track the clip as ``edgepose track`` does, decoding included in the frames per second."""
    options = {"backend": args.backend, "precision": args.precision, "num_threads": args.threads}
    people = []
    with open_source(args.clip) as source, PoseTracker(args.model, **options) as tracker:
        tracker.warmup()
        start = time.perf_counter()
        for frame in source:
            result = tracker.track(frame.image, timestamp_ms=frame.timestamp_ms)
            if result.keypoints is not None and result.roi is not None:
                people.append((frame.image, person_box(Roi(*result.roi))))
        seconds = time.perf_counter() - start
        stats = tracker.stats
        name = tracker.model.name
    return Tracked(name, dict(stats.latency), stats.frames / seconds, people)


def person_box(roi: Roi) -> Roi:
    """The box whose square crop is ``roi``."""
    return Roi.around(roi.center, roi.width / PERSON_CROP_FACTOR)


def measure_peers(
    args: argparse.Namespace, people: Sequence[tuple[Image, Roi]]
) -> Iterator[tuple[str, StageLatency]]:
    """Time each peer whose weights are here: crop, network and decoding, no search."""
    for peer in PEERS:
        weights = peer.weights(getattr(args, peer.option))
        if weights is not None and people:
            estimator = peer.open(weights, args.backend, args.threads, args.precision)
            yield peer.name, time_calls(estimator, people)


def time_calls(
    call: Callable[[Image, Roi], object], people: Sequence[tuple[Image, Roi]]
) -> StageLatency:
    """Return percentiles of a call in ms over all frames, after some that do not count."""
    for frame, box in people[:WARMUP_CALLS]:
        call(frame, box)
    taken = []
    for frame, box in people:
        start = time.perf_counter()
        call(frame, box)
        taken.append(1e3 * (time.perf_counter() - start))
    p50, p95, p99 = np.percentile(taken, (50, 95, 99)).tolist()
    return StageLatency(len(taken), p50, p95, p99)


def report(tracked: Tracked, peers: dict[str, StageLatency]) -> str:
    """A table of all stages, ours and the peers', with the p50 as a ratio to our total."""
    total = tracked.stages[TOTAL].p50
    ours = {f"{tracked.model}: {stage}": latency for stage, latency in tracked.stages.items()}
    rows = tuple(
        (name, str(ms.count), f"{ms.p50:.2f}", f"{ms.p95:.2f}", f"{ms.p50 / total:.2f}")
        for name, ms in {**ours, **peers}.items()
    )
    header = ("ms per frame", "frames", "p50", "p95", "to our total")
    table = markdown(Table("Latency", header, rows))
    return f"{table}\n{tracked.frames_per_second:.1f} frames per second, decoding included.\n"


if __name__ == "__main__":
    main()
