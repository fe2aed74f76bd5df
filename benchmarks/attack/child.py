"""The child process: runs inputs, and says before and after each one what it is."""

from __future__ import annotations

import contextlib
import gc
import json
import logging
import os
import random
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from benchmarks.attack.outcome import BEGUN, LEAKED, TOO_LARGE, Report, attempt

#: What an input may take in memory, in bytes.
MOST_MEMORY = 1 << 30
#: Inputs after which the rest is compared: by then most libraries are loaded.
WARM = 20
#: What a process may have more at its end than when it was warm: descriptors, threads, and MB.
LEAKS = {"descriptors": 8, "threads": 4, "memory_mb": 200.0}

Say = Callable[[Report], None]


def main(kind: str, seeds: Sequence[int]) -> None:
    """Run inputs in this process, and report on its standard output."""
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    # What libraries in C say must not stand between the reports.
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(report: Report) -> None:
        output.write(json.dumps(report.as_dict()) + "\n")
        output.flush()

    if kind == "commands":
        _load_libraries()
    run_all(kind, seeds, say)
    os._exit(0)  # what inputs left behind must not keep the process


def run_all(kind: str, seeds: Sequence[int], say: Say) -> None:
    """Run inputs and compare what the process has at the end with what it had when warm."""
    warm: dict[str, float] = {}
    for count, seed in enumerate(seeds):
        report = run_input(kind, seed, say)
        if count == WARM:
            warm = usage()
        if warm and seed == seeds[-1] and _excess(warm):
            report = _leaks_of(kind, seeds, say) or report
        say(report)


def run_input(kind: str, seed: int, say: Say) -> Report:
    """Run an input, in a folder of its own, and return how it ended."""
    from benchmarks.attack.kinds import KINDS

    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # for outputs with names of their own
        given = KINDS[kind](random.Random(seed), Path(folder))
        begun = Report(kind, seed, BEGUN, given.name[:300])
        say(begun)
        before = _reset_peak()
        outcome = attempt(given)
        os.chdir("/")
        used = _status("VmHWM") - before
    if used > MOST_MEMORY:
        return replace(begun, end=TOO_LARGE, detail=f"{used >> 20} MB")
    return replace(begun, end=outcome.end, detail=outcome.detail[-300:])


def _leaks_of(kind: str, seeds: Sequence[int], say: Say) -> Report | None:
    """Run all inputs once more: libraries that were loaded late cost once, a leak each time."""
    before = usage()
    for seed in seeds:
        run_input(kind, seed, say)
    grown = _excess(before)
    if not grown:
        return None
    return Report(kind, seeds[-1], LEAKED, f"{len(seeds)} inputs again", f"{grown} more")


def _excess(before: dict[str, float]) -> dict[str, float]:
    """Return what has grown by more than it may."""
    grown = {name: value - before[name] for name, value in usage().items()}
    return {name: value for name, value in grown.items() if value > LEAKS[name]}


def _load_libraries() -> None:
    """Load what commands load when they are first run, and compile kernels."""
    from edgepose.cli.warming import warm

    for name in ("torch", "onnx", "onnxruntime", "matplotlib.pyplot", "rich.progress"):
        with contextlib.suppress(ImportError):
            import_module(name)
    warm("ppn-swift", {})


def usage() -> dict[str, float]:
    """Return the descriptors, threads and MB of this process, without garbage."""
    gc.collect()
    return {
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
        "memory_mb": _status("VmRSS") / 2**20,
    }


def _reset_peak() -> int:
    """Forget the peak of memory so far; return what is in use."""
    Path("/proc/self/clear_refs").write_text("5")
    return _status("VmRSS")


def _status(name: str) -> int:
    """Return a size in bytes that Linux tells of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1]) << 10
    return 0


if __name__ == "__main__":
    main(sys.argv[1], [int(word) for word in sys.argv[2:]])
