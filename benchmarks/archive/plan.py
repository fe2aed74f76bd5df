"""The plan for many files."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from edgepose.archive.plan import plan_units, read_plan, write_plan
from edgepose.archive.settings import CutSettings
from edgepose.archive.videos import find_videos

_SIZE, _PER_FOLDER = 2_000_000, 1000


def time_plan(args: argparse.Namespace, folder: Path) -> list[str]:
    """Make sparse files of 2 MB, and return how long their plan takes."""
    for number in range(args.files):
        path = folder / "films" / f"{number // _PER_FOLDER:04d}" / f"{number:07d}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            file.write(str(number).encode())
            file.truncate(_SIZE)
    began, cpu = time.perf_counter(), time.process_time()
    videos = find_videos(str(folder / "films"))
    found = time.perf_counter()
    write_plan(folder / "plan.jsonl", plan_units(videos, CutSettings()))
    planned, cpu = time.perf_counter(), time.process_time() - cpu
    units = read_plan(folder / "plan.jsonl")
    size = (folder / "plan.jsonl").stat().st_size
    return [
        f"{len(units)} files: {planned - began:.1f} s, {found - began:.1f} s of it to find them, "
        f"{cpu:.1f} s of CPU; "
        f"reading the plan back takes {time.perf_counter() - planned:.1f} s.",
        f"The plan has {size / len(units):.0f} bytes per unit.",
    ]
