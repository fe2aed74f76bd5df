"""Memory of a worker over many short files."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import psutil

from edgepose.archive.driver import ArchiveRun
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.engines.worker import WorkerSettings
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.benchmarking.frames import sample_clip

_FRAMES, _SHARES = 6, (0.1, 0.25, 0.5, 0.75, 1.0)


def watch_memory(args: argparse.Namespace, folder: Path) -> list[str]:
    """Return the resident memory of a worker after parts of the files."""
    write_clips(folder / "films", args.files, _FRAMES)
    engines: list[LocalEngine] = []
    sizes: dict[int, float] = {}

    def make(settings: WorkerSettings) -> LocalEngine:
        engines.append(LocalEngine(settings))
        return engines[0]

    def watch(run: ArchiveRun) -> None:
        for pid in engines[0].pids().values():
            sizes[run.report.units] = psutil.Process(pid).memory_info().rss / 2**20

    job = ArchiveJob(str(folder / "films"), folder / "out")
    run_archive(job, make, 1, observe=watch)
    points = [min(sizes, key=lambda n, s=share: abs(n - s * args.files)) for share in _SHARES]
    shown = ", ".join(f"{sizes[point]:.0f} after {point}" for point in points)
    return [f"Resident memory of the worker in MiB, by files: {shown}."]


def write_clips(folder: Path, count: int, length: int) -> None:
    """Write copies of the first frames of the sample clip, as many as it has at most."""
    folder.mkdir()
    capture = cv2.VideoCapture(str(sample_clip()))
    frames = [capture.read()[1] for _ in range(length)]
    height, width = frames[0].shape[:2]
    for number in range(count):
        path = str(folder / f"{number:05d}.avi")
        writer = cv2.VideoWriter(path, cv2.VideoWriter.fourcc(*"MJPG"), 30, (width, height))
        for frame in frames:
            writer.write(frame)
        writer.release()
