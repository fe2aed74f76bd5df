"""Several streams on one machine: a pool on shared networks beside as many separate trackers.

``python -m benchmarks streams --help`` lists the options. Writes ``streams.json``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from threading import Thread

import cv2

from edgepose.benchmarking.frames import sample_clip
from edgepose.inference.model import DEFAULT_MODEL
from edgepose.pool import TrackerPool
from edgepose.tracker import PoseTracker
from edgepose.utils.machine import describe_machine, pin_to_cores
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.crop import Image

HERE = Path(__file__).parent


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks streams", description=__doc__)
    parser.add_argument(
        "--clip", type=Path, default=sample_clip(), help="a video (default: the sample)"
    )
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--streams", type=int, default=4, metavar="N")
    parser.add_argument("--cores", type=int, default=2, metavar="N", help="use no more than these")
    parser.add_argument("--frames", type=int, default=50, metavar="N", help="of each stream")
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="interleaved (median)")
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure both by turns, print the ratio and write the results."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    pin_to_cores(args.cores)
    cv2.setNumThreads(1)
    with open_source(args.clip) as source:
        frames = [frame.image for frame in itertools.islice(source, args.frames)]
    with ExitStack() as opened:
        pools = {
            name: opened.enter_context(TrackerPool(args.model, on_result=_ignore, batching=how))
            for name, how in (("side by side", False), ("batches", True))
        }
        trackers = [opened.enter_context(PoseTracker(args.model)) for _ in range(args.streams)]
        ways = {
            name: partial(track_in_pool, pool, frames, args.streams) for name, pool in pools.items()
        }
        ways["separate"] = partial(track_separately, trackers, frames)
        rates = measure(ways, args.rounds, frames=len(frames) * args.streams)
    write(args, rates)


def measure(ways: dict[str, Callable[[], None]], rounds: int, frames: int) -> dict[str, float]:
    """Return frames per second by way: the median of rounds, by turns, after one to warm up."""
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            start = time.perf_counter()
            way()
            if number:
                rates[name].append(frames / (time.perf_counter() - start))
    return {name: statistics.median(each) for name, each in rates.items()}


def track_in_pool(pool: TrackerPool, frames: list[Image], streams: int) -> None:
    """Track as many streams in one pool."""
    names = [pool.add(frames) for _ in range(streams)]
    pool.wait()
    for name in names:
        pool.remove(name)


def track_separately(trackers: list[PoseTracker], frames: list[Image]) -> None:
    """Track each stream by a tracker with networks and threads of its own."""
    threads = [Thread(target=lambda t=tracker: list(t.stream(frames))) for tracker in trackers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def write(args: argparse.Namespace, rates: dict[str, float]) -> None:
    """Print the ratios and write everything."""
    ratios = {name: rate / rates["separate"] for name, rate in rates.items()}
    content = {
        "format": "edgepose.streams",
        "machine": describe_machine(),
        "streams": args.streams,
        "frames_per_second": rates,
        "ratio_to_separate_trackers": ratios,
    }
    (args.out / "streams.json").write_text(json.dumps(content, indent=2) + "\n")
    print(f"{args.streams} streams on {args.cores} cores, beside as many separate trackers:")
    for name, rate in rates.items():
        print(f"{name:>14}: {rate:6.1f} frames/s, {ratios[name]:.2f} times")


def _ignore(*_: object) -> None:
    pass


if __name__ == "__main__":
    main()
