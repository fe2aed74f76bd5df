"""On what a figure was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from edgepose import __version__

CPU_FACTS = Path("/proc/cpuinfo")


def describe_machine(threads: int) -> dict[str, object]:
    """Return processor, operating system, threads and the version of edgepose."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "system": platform.platform(),
        "python": platform.python_version(),
        "edgepose": __version__,
    }


def _processor() -> str:
    lines = CPU_FACTS.read_text().splitlines() if CPU_FACTS.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def pin_to_cores(count: int) -> None:
    """Keep this process and its threads on so many cores, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])
