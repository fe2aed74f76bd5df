"""Workers against one worker, and one worker against a loop in one process."""

from __future__ import annotations

import argparse
import math
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from benchmarks.archive.memory import write_clips
from edgepose.archive.driver import ArchiveRun
from edgepose.archive.engines.base import Engine
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.engines.ray import RayEngine
from edgepose.archive.engines.worker import WorkerSettings
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.benchmarking.frames import sample_clip

_LOOP = """
import os, sys, time
from pathlib import Path
os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"] = "threads;1"
import cv2, edgepose
cv2.setNumThreads(1)
with edgepose.load(num_threads=1) as model:
    with edgepose.PoseTracker(model) as tracker:
        tracker.warmup()
    began, frames = time.perf_counter(), 0
    for path in sorted(Path(sys.argv[1]).iterdir()):
        name = sys.argv[2] + "/" + path.name + ".jsonl"
        sink = edgepose.sinks.JsonlSink(
            name, skeleton=model.skeleton, model=model.name, source=str(path)
        )
        with edgepose.PoseTracker(model) as tracker, sink:
            for frame in edgepose.open_source(path):
                sink.write(tracker.track(frame.image, timestamp_ms=frame.timestamp_ms))
                frames += 1
    print(frames / (time.perf_counter() - began))
"""


def compare_speed(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return frames per second, loading of models left out, and the ratios."""
    films = folder / "films"
    films.mkdir()
    for number in range(args.videos):
        shutil.copy(sample_clip(), films / f"{number:04d}.mp4")
    loop = loops = one = several = 0.0
    for number in range(args.rounds):  # in turns, so that a slow spell hits all
        loop = max(loop, loop_speed(films, folder))
        one = max(one, archive_speed(films, folder / f"one-{number}", 1))
        several = max(several, archive_speed(films, folder / f"more-{number}", args.workers))
        loops = max(loops, loops_speed(films, folder, args.workers))
    return [
        f"Loop in one process: {loop:.1f} frames/s. One worker: {one:.1f}; "
        f"{args.workers} workers: {several:.1f}.",
        f"Overhead of one worker: {100 * (loop / one - 1):+.1f} %. "
        f"{args.workers} workers are {several / one:.2f} times as fast as one, "
        f"{args.workers} loops side by side {loops / loop:.2f} times as fast as one.",
    ]


def compare_ray(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return frames per second with processes of this machine and with actors of Ray."""
    if find_spec("ray") is None:
        return ['Skipped: the package Ray is missing: pip install "edgepose[ray]"']
    films = folder / "films"
    write_clips(films, args.videos, args.frames)
    here, there = RunTimes(), RunTimes()
    make_ray = partial(RayEngine, address=args.address)
    for number in range(args.rounds):
        out = folder / f"{number}"
        here = here.best(archive_times(films, out / "local", args.workers))
        there = there.best(archive_times(films, out / "ray", args.workers, make_ray))
    return [
        f"{args.videos} videos of {args.frames} frames, {args.workers} workers, from start to end: "
        f"{here.whole_s:.1f} s by processes, {there.whole_s:.1f} s by Ray, "
        f"{100 * (there.whole_s / here.whole_s - 1):+.1f} %.",
        f"Once the workers have their models, to the end: {here.working_s:.1f} s and "
        f"{there.working_s:.1f} s, {100 * (there.working_s / here.working_s - 1):+.1f} %.",
    ]


def loop_speed(films: Path, out: Path) -> float:
    """Return the frames per second of a loop over a tracker."""
    command = [sys.executable, "-c", _LOOP, str(films), str(out)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def loops_speed(films: Path, out: Path, count: int) -> float:
    """Return the frames per second of several loops side by side: what the machine can do."""
    folders = [out / f"loop-{number}" for number in range(count)]
    for folder in folders:
        folder.mkdir(exist_ok=True)
    with ThreadPoolExecutor(count) as pool:
        return sum(pool.map(loop_speed, [films] * count, folders))


def archive_speed(films: Path, out: Path, workers: int) -> float:
    """Return the frames per second of an archive, once all workers have their models."""
    return archive_times(films, out, workers).frames_per_s


@dataclass(frozen=True, slots=True)
class RunTimes:
    """What a run takes, in seconds.

    Attributes:
        whole_s: from its start to its end, with the start and the end of a cluster.
        working_s: from when all workers have their models to the end of the run.
        frames_per_s: of the second time.
    """

    whole_s: float = math.inf
    working_s: float = math.inf
    frames_per_s: float = 0.0

    def best(self, other: RunTimes) -> RunTimes:
        """Return the shorter times of two runs."""
        return RunTimes(
            min(self.whole_s, other.whole_s),
            min(self.working_s, other.working_s),
            max(self.frames_per_s, other.frames_per_s),
        )


def archive_times(
    films: Path,
    out: Path,
    workers: int,
    make_engine: Callable[[WorkerSettings], Engine] = LocalEngine,
) -> RunTimes:
    """Run an archive, and return what it took."""
    ready: list[tuple[float, int]] = []

    def watch(run: ArchiveRun) -> None:
        if not ready and all(state.ready for state in run.workers):
            frames = run.report.frames + sum(state.frames for state in run.workers)
            ready.append((time.monotonic(), frames))

    began = time.monotonic()
    report = run_archive(ArchiveJob(str(films), out), make_engine, workers, observe=watch)
    ended = time.monotonic()
    ((was_ready, before),) = ready
    working_s = ended - was_ready
    return RunTimes(ended - began, working_s, (report.frames - before) / working_s)
