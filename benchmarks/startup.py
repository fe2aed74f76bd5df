"""Time and memory of a plain tracker's start, in fresh processes, cold and warm.

``python -m benchmarks startup`` prints them step by step: cold with empty caches of kernels and
compiled models, then warm. Times are wall seconds from the start of Python's program, the least of
several starts; memory is what the process has resident.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from edgepose.benchmarking.frames import sample_clip
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import DEFAULT_MODEL

#: What a fresh process does; it prints a line of JSON after each step.
PROGRAM = """
import json, os, sys, time
start, model, clip, frames = time.perf_counter(), sys.argv[1], sys.argv[2], int(sys.argv[3])

def report(step):
    now = time.perf_counter() - start
    lines = open("/proc/self/status").read().splitlines()
    sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if "kB" in line}
    print(json.dumps([step, now, time.process_time(), sizes["VmRSS"]]), flush=True)

if os.environ.get("STARTUP_PARTS"):
    for part in ("numpy", "cv2", "openvino", "numba"):
        sys.modules["openvino_telemetry"] = None
        __import__(part)
        report("import " + part)
    sys.exit()
import edgepose
report("import edgepose")
tracker = edgepose.PoseTracker(model)
report("tracker made")
source = edgepose.open_source(clip)
pairs = tracker.stream(source)
next(pairs)
report("first pose")
for _ in range(frames - 1):
    next(pairs)
report(f"{frames} poses")
"""

Step = tuple[str, float, float, float]


def main(words: Sequence[str] | None = None) -> None:
    """Start and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks startup", description=__doc__)
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    parser.add_argument("--clip", type=Path, default=sample_clip(), help="a video with a person")
    parser.add_argument("--frames", type=int, default=60, metavar="N")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="starts of each kind")
    parser.add_argument("--parts", action="store_true", help="the packages alone, one by one")
    args = parser.parse_args(words)
    program = [args.model, str(args.clip), str(args.frames)]
    with TemporaryDirectory() as folder:
        if args.parts:
            starts = [run(program, Path(folder), parts=True) for _ in range(args.repeats)]
            print(table({"warm": least(starts)}))
            return
        cold = [run(program, Path(folder) / str(number)) for number in range(args.repeats)]
        warm = [run(program, Path(folder) / "0") for _ in range(args.repeats)]
    print(table({"cold": least(cold), "warm": least(warm)}))


def run(program: Sequence[str], caches: Path, *, parts: bool = False) -> list[Step]:
    """Start a process with its caches in a folder; return name, s, s of CPU and MiB by step."""
    environment = {
        **os.environ,
        "EDGEPOSE_CACHE": str(caches / "models"),
        "NUMBA_CACHE_DIR": str(caches / "kernels"),
        "STARTUP_PARTS": "1" if parts else "",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *program],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def least(starts: Sequence[Sequence[Step]]) -> list[Step]:
    """Return the least times of each step, and its most memory."""
    return [
        (steps[0][0], *(min(step[i] for step in steps) for i in (1, 2)), max(s[3] for s in steps))
        for steps in zip(*starts, strict=True)
    ]


def table(starts: dict[str, list[Step]]) -> str:
    """Return the figures as Markdown."""
    rows = [
        (f"{kind}: {name}", f"{wall:.2f} s", f"{cpu:.2f} s", f"{memory:.0f} MiB")
        for kind, steps in starts.items()
        for name, wall, cpu, memory in steps
    ]
    return markdown(Table("", ("after", "time", "CPU time", "resident"), rows))
