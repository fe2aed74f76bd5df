"""What Linux says of the processor."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

CPU_FACTS = Path("/proc/cpuinfo")


def cpu_facts(*names: str) -> Iterator[str]:
    """Yield what Linux lists under one of these names, core by core; elsewhere nothing."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # another system
        return
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() in names:
            yield value.strip()


@cache
def cpu_flags() -> frozenset[str]:
    """Return what the processor can, as Linux names it; elsewhere nothing."""
    return frozenset(next(cpu_facts("flags", "Features"), "").split())
