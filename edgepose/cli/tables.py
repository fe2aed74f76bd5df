"""Plain tables for a terminal or a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgepose.stats import TOTAL, TrackerStats


def format_table(rows: Sequence[Sequence[str]], align: Literal["<", ">"] = ">") -> str:
    """Return rows as aligned columns, the first to the left and the others as told."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = []
    for first, *rest in rows:
        cells = [first.ljust(widths[0])]
        cells += [f"{cell:{align}{width}}" for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip() + "\n")
    return "".join(lines)


def latency_table(stats: TrackerStats) -> str:
    """Return a table of a tracker's latency by stage in ms, the total last."""
    rows: list[Sequence[str]] = [("ms per frame", "frames", "p50", "p95", "p99")]
    stages = sorted(stats.latency.items(), key=lambda item: item[0] == TOTAL)
    for stage, latency in stages:
        figures = (f"{value:.2f}" for value in (latency.p50, latency.p95, latency.p99))
        rows.append((stage, str(latency.count), *figures))
    return format_table(rows)
