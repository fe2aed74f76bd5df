"""Child processes that run inputs, and what becomes of them."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from benchmarks.attack.outcome import BEGUN, CRASHED, DONE, HUNG, Report

#: How long an input may take, in seconds, and how long a process may take to start.
INPUT_S, START_S = 20.0, 120.0

Lines = queue.SimpleQueue[str | None]


def run_inputs(kind: str, seeds: Sequence[int], batch: int) -> list[Report]:
    """Run inputs in child processes, a batch in each; one that ends early is replaced."""
    reports: list[Report] = []
    left = list(seeds)
    while left:
        found = list(_run_child(kind, left[:batch]))
        reports += found
        done = {report.seed for report in found}
        left = [seed for seed in left if seed not in done]
    return reports


def _run_child(kind: str, seeds: Sequence[int]) -> Iterator[Report]:
    """Yield reports until the child ends, or has to be killed."""
    words = [sys.executable, "-m", "benchmarks.attack.child", kind, *map(str, seeds)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines: Lines = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    begun = Report(kind, seeds[0], CRASHED, "the start of the process")
    limit = START_S
    try:
        while (line := _next_line(lines, process.pid, limit)) is not None:
            report = Report(**json.loads(line))
            limit = INPUT_S if report.end == BEGUN else START_S
            if report.end == BEGUN:
                begun = report
            else:
                yield report
                begun = Report(kind, begun.seed, DONE)
        if begun.end != DONE:
            code = process.wait()
            yield Report(kind, begun.seed, CRASHED, begun.name, f"exit code {code}")
    except queue.Empty:
        yield Report(kind, begun.seed, HUNG, begun.name, f"no end after {limit:g} s")
    finally:
        process.kill()
        process.wait()


def _next_line(lines: Lines, pid: int, limit: float) -> str | None:
    """Return the next line of a process, ``None`` at its end.

    Time in which the process was ready to run, but others had the processor, does not count.

    Raises:
        Empty: there was none in so many seconds.
    """
    begun, waited = time.monotonic(), waited_s(pid)
    while True:
        used = time.monotonic() - begun - max(0.0, waited_s(pid) - waited)
        if used >= limit:
            raise queue.Empty
        try:
            return lines.get(timeout=limit - used)
        except queue.Empty:
            continue


def waited_s(pid: int) -> float:
    """Return how long the first thread of a process waited for a processor, in seconds."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError):  # it ended, or this is not Linux
        return 0.0


def _read(stream: IO[str] | None, lines: Lines) -> None:
    for line in stream or ():
        lines.put(line)
    lines.put(None)
