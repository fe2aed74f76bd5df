"""Accuracy over time, as a picture."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from edgepose.benchmarking.accuracy import ALPHAS, BOXES, TRACKER
from edgepose.benchmarking.candidates import PEER, STEP, BenchmarkModel
from edgepose.benchmarking.result import Outcome
from edgepose.utils.output_files import create_file
from edgepose_runtime.errors import ConfigError

MEASURE = f"PCK-torso@{ALPHAS[0]:g}"
_OURS, _THEIRS = "tab:blue", "tab:gray"
# Where our labels are, in parts of the picture's height: the first one, and how far apart.
_HIGHEST, _APART = 0.94, 0.05


def draw_plot(outcome: Outcome, path: Path) -> None:
    """Write a picture of accuracy over ms from frame to joints, on the fewest threads.

    Args:
        outcome: with accuracy.
        path: an image file; its ending says which kind.

    Raises:
        ConfigError: there is no accuracy to draw.
        OutputError: the file cannot be written.
    """
    points = points_of(outcome)
    if not points:
        raise ConfigError("The picture shows accuracy over time, and no accuracy was measured.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    # From fast to slow, the labels from the top down, so that no line crosses another.
    line = 0
    for entry, milliseconds, pck in sorted(points, key=lambda p: p[1]):
        _draw(axes, entry, milliseconds, pck, _HIGHEST - _APART * line)
        line += entry.part != PEER
    _label(axes, outcome, points[0][0])
    image = BytesIO()
    FigureCanvasAgg(figure).print_figure(image, format=path.suffix.lstrip(".") or "png", dpi=130)
    with create_file(path) as file:
        file.write(image.getvalue())


def points_of(outcome: Outcome) -> list[tuple[BenchmarkModel, float, dict[str, float]]]:
    """Return the models to draw, on the fewest threads, with ms and PCK by protocol."""
    shown = [entry for entry in outcome.latency if entry.part in (STEP, PEER)]
    fewest = min((entry.asked.threads for entry in shown), default=1)
    found = []
    for entry in shown:
        accuracy, milliseconds = outcome.accuracy_of(entry), outcome.p50(entry)
        if accuracy and milliseconds and entry.asked.threads == fewest:
            pck = {protocol: each[MEASURE] for protocol, each in accuracy.pck.items()}
            found.append((entry, milliseconds, pck))
    return found


def _draw(
    axes: Any,
    entry: BenchmarkModel,
    milliseconds: float,
    pck: dict[str, float],
    height: float,
) -> None:
    color = _THEIRS if entry.part == PEER else _OURS
    axes.plot(milliseconds, pck[BOXES], "o", color=color, markersize=8)
    if TRACKER in pck:
        axes.plot(milliseconds, pck[TRACKER], "o", color=color, markersize=8, fillstyle="none")
    at, options = (milliseconds, pck[BOXES]), {"color": color, "fontsize": 8, "va": "center"}
    if entry.part == PEER:
        axes.annotate(entry.name, at, xytext=(8, 0), textcoords="offset points", **options)
    else:  # each at a height of its own: forms of one model lie close together
        precision = entry.engine.precision.split(", ")[-1]
        text = f"{entry.name}, {entry.engine.backend} {precision}"
        line = {"arrowstyle": "-", "color": color, "linewidth": 0.5, "relpos": (0, 0.5)}
        beside = {"xytext": (1.1 * milliseconds, height), "textcoords": axes.get_xaxis_transform()}
        axes.annotate(text, at, arrowprops=line, **beside, **options)


def _label(axes: Any, outcome: Outcome, first: BenchmarkModel) -> None:
    threads = first.asked.threads
    axes.set_xscale("log")
    axes.margins(x=0.25, y=0.25)
    ticks = [1, 2, 3, 5, 10, 20, 30, 50, 100, 200]
    low, high = axes.get_xlim()
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [str(tick) for tick in shown])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(f"frame to joints, ms (p50, {threads} CPU thread{'s' * (threads > 1)})")
    axes.set_ylabel(f"{MEASURE}, {outcome.accuracy.headline if outcome.accuracy else ''} in %")
    axes.set_title(
        "filled: in annotated boxes; hollow: tracker that finds the person itself; "
        f"peers in {_precisions(outcome)}",
        fontsize=9,
    )
    axes.grid(alpha=0.3)


def _precisions(outcome: Outcome) -> str:
    peers = (entry for entry in outcome.latency if entry.part == PEER)
    return ", ".join(sorted({entry.engine.precision for entry in peers})) or "no run"
