"""Child processes that run inputs, and what becomes of them."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import IO

from benchmarks.attack.outcome import DONE, REFUSED, attempt

#: How long an input may take, in seconds, and how long a process may take to start.
INPUT_S, START_S = 20.0, 120.0
#: What an input may take in memory, in bytes.
MOST_MEMORY = 1 << 30
#: Inputs after which the rest is compared: by then libraries are loaded and kernels compiled.
WARM = 20
#: What a process may have more at its end than when it was warm: descriptors, threads, and MB.
LEAKS = {"descriptors": 8, "threads": 4, "memory_mb": 200.0}
CRASHED, HUNG, TOO_LARGE, LEAKED = "crashed", "hung", "too much memory", "leaked"


@dataclass(frozen=True, slots=True)
class Report:
    """How one input ended in its process."""

    kind: str
    seed: int
    end: str
    name: str = ""
    detail: str = ""

    @property
    def is_failure(self) -> bool:
        """Whether no input may end so."""
        return self.end not in (DONE, REFUSED)

    def as_dict(self) -> dict[str, str | int]:
        """Return all of it."""
        return asdict(self)


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
    words = [sys.executable, "-m", "benchmarks.attack.children", kind, *map(str, seeds)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    begun = Report(kind, seeds[0], CRASHED, "the start of the process")
    limit = START_S
    try:
        while (line := lines.get(timeout=limit)) is not None:
            report = Report(**json.loads(line))
            limit = INPUT_S if report.end == "begun" else START_S
            if report.end == "begun":
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


def _read(stream: IO[str] | None, lines: queue.SimpleQueue[str | None]) -> None:
    for line in stream or ():
        lines.put(line)
    lines.put(None)


def main(kind: str, seeds: Sequence[int]) -> None:
    """Run inputs in this process, and say before and after each one what it is."""
    from benchmarks.attack.kinds import KINDS

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # What libraries in C say must not stand between the reports.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    warm: dict[str, float] = {}
    if kind == "commands":
        _load_libraries()
    for count, seed in enumerate(seeds):
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)  # for outputs with names of their own
            given = KINDS[kind](random.Random(seed), Path(folder))
            _say(output, Report(kind, seed, "begun", given.name[:300]))
            before = _reset_peak()
            outcome = attempt(given)
            end, detail = outcome.end, outcome.detail
            os.chdir("/")
            if _peak() - before > MOST_MEMORY:
                end, detail = TOO_LARGE, f"{(_peak() - before) >> 20} MB"
        if count == WARM:
            warm = _usage()
        if warm and seed == seeds[-1]:
            grown = {name: value - warm[name] for name, value in _usage().items()}
            if any(grown[name] > most for name, most in LEAKS.items()):
                end, detail = LEAKED, f"since input {WARM}: {grown}"
        _say(output, Report(kind, seed, end, given.name[:300], detail[-300:]))
    output.flush()
    os._exit(0)  # what inputs left behind must not keep the process


def _load_libraries() -> None:
    """Load what commands load when they are first run, which is no leak, and compile kernels."""
    from edgepose.cli.warming import warm

    for name in ("torch", "onnx", "onnxruntime", "matplotlib.pyplot", "rich.progress"):
        with contextlib.suppress(ImportError):
            import_module(name)
    warm("ppn-swift", {})


def _say(output: IO[str], report: Report) -> None:
    output.write(json.dumps(report.as_dict()) + "\n")
    output.flush()


def _usage() -> dict[str, float]:
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "memory_mb": _status("VmRSS") / 2**20,
    }


def _reset_peak() -> int:
    """Forget the peak of memory so far; return what is in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _peak() -> int:
    return _status("VmHWM")


def _status(name: str) -> int:
    """Return a size in bytes that Linux tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    main(sys.argv[1], [int(word) for word in sys.argv[2:]])
