"""Accuracy under worse conditions, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.robustness.conditions import CLEAN
from benchmarks.robustness.measurement import Row

_COVERED = "covered"


def draw(rows: Sequence[Row], path: Path) -> None:
    """Draw PCK over the share of covered frames, and under the other conditions side by side."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2, sharey=True)
    methods = list(dict.fromkeys(row.method for row in rows))
    for index, method in enumerate(methods):
        own = [row for row in rows if row.method == method and row.pck02 is not None]
        _line(left, method, own)
        _bars(right, index, len(methods), own)
    left.set(xlabel="frames in which the person is covered, %", ylabel="PCK-torso@0.2, %")
    left.legend(fontsize=8)
    right.set(title="pale: PCK-torso@0.1")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)


def _line(axes: Any, method: str, rows: Sequence[Row]) -> None:
    covered = [row for row in rows if row.condition == CLEAN or _COVERED in row.condition]
    covered.sort(key=lambda row: row.share)
    shares = [100 * row.share for row in covered]
    axes.plot(shares, [row.pck02 for row in covered], "o-", markersize=4, label=method)


def _bars(axes: Any, index: int, methods: int, rows: Sequence[Row]) -> None:
    shown = [row for row in rows if _COVERED not in row.condition]
    width = 0.8 / methods
    places = [place + (index - (methods - 1) / 2) * width for place in range(len(shown))]
    color = f"C{index}"
    axes.bar(places, [row.pck02 for row in shown], 0.9 * width, color=color, alpha=0.45)
    axes.bar(places, [row.pck01 or 0.0 for row in shown], 0.9 * width, color="white", alpha=0.6)
    axes.set_xticks(range(len(shown)), [row.condition for row in shown])
