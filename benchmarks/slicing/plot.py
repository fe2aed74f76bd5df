"""PCK over the share of perturbed frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.slicing.accuracy import Outcome


def plot(outcomes: Sequence[Outcome], path: Path) -> None:
    """Draw a line for each candidate that was measured at more than one share."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 4))
    FigureCanvasAgg(figure)
    for axes, measure, title in zip(
        figure.subplots(1, 2), ("pck02", "pck01"), ("PCK-torso@0.2", "PCK-torso@0.1"), strict=True
    ):
        for name in dict.fromkeys(each.name for each in outcomes):
            points = sorted((x.share, getattr(x, measure)) for x in outcomes if x.name == name)
            axes.plot([100 * x for x, _ in points], [y for _, y in points], "o-", label=name)
        axes.set(title=title, xlabel="frames blurred or covered, %", ylabel="%")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
