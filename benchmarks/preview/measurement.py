"""What viewers of the preview cost a tracker, and whether memory stays when they come and go.

``python -m benchmarks preview --help`` lists the options. First a clip is tracked at 25 frames per
second, in turns: alone, with a preview that nobody looks at, and with three viewers in another
process, one of whom takes nothing. Then viewers come and go while frames are handed over as fast as
they are taken. Writes ``preview.json``; the exit code is 1 if memory grew.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.preview.clients import connect, leave, look
from benchmarks.soak import MOST_GROWTH_MB, SoakError, sample
from edgepose.benchmarking.frames import sample_clip
from edgepose.inference.model import DEFAULT_MODEL
from edgepose.preview import Preview, PreviewSettings
from edgepose.results import PoseResult
from edgepose.tracker import PoseTracker
from edgepose.utils.machine import describe_machine
from edgepose_runtime.capture import open_source
from edgepose_runtime.geometry.crop import Image

HERE = Path(__file__).parents[1]
_FPS = 25.0
#: Frames after a change of viewers that do not count.
_SETTLE = 10
#: Frames from which on growth is not that of a start.
_LONG = 5000


def parse_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks preview", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--num-threads", type=int, default=1, metavar="N")
    parser.add_argument("--frames", type=int, default=100, metavar="N", help="of each turn")
    parser.add_argument("--rounds", type=int, default=10, metavar="N")
    parser.add_argument("--soak-frames", type=int, default=10_000, metavar="N")
    parser.add_argument("--visits", type=int, default=500, metavar="N", help="viewers in the soak")
    parser.add_argument("--out", type=Path, default=HERE / "out", metavar="DIR")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> None:
    """Measure both, print the figures and write them."""
    args = parse_arguments(words)
    args.out.mkdir(parents=True, exist_ok=True)
    with open_source(sample_clip()) as source:
        frames = [frame.image for frame in itertools.islice(source, 100)]
    steps = measure_steps(args, frames)
    growth_mb, dropped = soak(frames, args.soak_frames, args.visits)
    content = {
        "format": "edgepose.preview",
        "machine": describe_machine(),
        "step_ms": steps,
        "growth_mb": growth_mb,
        "viewers_dropped": dropped,
    }
    (args.out / "preview.json").write_text(json.dumps(content, indent=2) + "\n")
    for name, figures in steps.items():
        ratio = figures["p95"] / steps["alone"]["p95"]
        print(f"{name:>14}: p50 {figures['p50']:.2f} ms, p95 {figures['p95']:.2f} ms, {ratio:.3f}")
    print(f"{args.soak_frames} frames, {args.visits} viewers: memory grew by {growth_mb:.1f} MB")
    if growth_mb > MOST_GROWTH_MB and args.soak_frames >= _LONG:
        raise SoakError(f"Memory grew by {growth_mb:.1f} MB, more than {MOST_GROWTH_MB} MB.")


def measure_steps(args: argparse.Namespace, frames: list[Image]) -> dict[str, dict[str, float]]:
    """Return percentiles of the step in ms: alone, with a preview, and with viewers."""
    took: dict[str, list[float]] = {"alone": [], "nobody looks": [], "three viewers": []}
    with (
        Preview(PreviewSettings(port=0)) as preview,
        PoseTracker(args.model, num_threads=args.num_threads) as tracker,
    ):
        tracker.warmup()
        numbers = itertools.count()
        for _ in range(args.rounds):
            for name, times in took.items():
                with viewers(preview.url if name == "three viewers" else None):
                    shown = None if name == "alone" else preview
                    steps = [
                        step(tracker, shown, frames, next(numbers)) for _ in range(args.frames)
                    ]
                    times += steps[_SETTLE:]
    return {name: summary(times) for name, times in took.items()}


def step(tracker: PoseTracker, preview: Preview | None, frames: list[Image], number: int) -> float:
    """Track a frame at its time, and return what that and the hand-over took, in ms."""
    time.sleep(max(0.0, (1 / _FPS) - time.monotonic() % (1 / _FPS)))
    # Forward and backward: a jump would begin a search.
    last = len(frames) - 1
    at = number % (2 * last)
    frame = frames[min(at, 2 * last - at)]
    began_s = time.perf_counter()
    result = tracker.track(frame)
    if preview is not None:
        preview.write(frame, result)
    return 1000 * (time.perf_counter() - began_s)


def summary(times: list[float]) -> dict[str, float]:
    """Return percentiles."""
    p50, p95, p99 = np.percentile(times, (50, 95, 99)).tolist()
    return {"p50": p50, "p95": p95, "p99": p99}


@contextmanager
def viewers(url: str | None) -> Iterator[None]:
    """Have a process look at the pictures and events, with one more viewer who takes nothing."""
    if url is None:
        yield
        return
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    process = context.Process(target=look, args=(url, ready), daemon=True)
    process.start()
    ready.wait(60)
    try:
        yield
    finally:
        process.terminate()
        process.join()


def soak(frames: list[Image], count: int, visits: int) -> tuple[float, int]:
    """Hand over frames while viewers come and go.

    Returns:
        By how many MB memory grew after the first fifth, and how many viewers were dropped.
    """
    with Preview(PreviewSettings(port=0, max_fps=120)) as preview, PoseTracker() as tracker:
        result: PoseResult = tracker.track(frames[0])
        start_mb = 0.0
        open_now: list[socket.socket] = []
        for number in range(count):
            preview.write(frames[number % len(frames)], result)
            if number % max(1, count // visits) == 0:
                path = "/events" if number % 3 else "/stream/camera.mjpg"
                open_now.append(connect(preview.url, path))
                if len(open_now) > 5:
                    leave(open_now.pop(0))
            if number == count // 5:
                start_mb = sample(number).memory_mb
        for opened in open_now:
            leave(opened)
        return sample(count).memory_mb - start_mb, preview.viewers.dropped
