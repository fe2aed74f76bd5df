"""The table and the picture of the candidates."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgepose.evaluation.report import Table, markdown

KINDS = ("openvino", "onnxruntime", "numba")
MEASURES = ("torso@0.2", "torso@0.1", "jitter")
Rows = Mapping[str, Mapping[str, Any]]


def table(rows: Rows) -> str:
    """Return the table in Markdown, as the candidates come."""
    header = ("", "PCK-torso@0.2", "PCK-torso@0.1", "jitter", *(f"{kind}, ms" for kind in KINDS))
    lines = [
        (
            name,
            *(f"{row['pck'][measure]:.1f}" if row["pck"] else "" for measure in MEASURES),
            *(f"{row['ms'][kind]:.2f}" if kind in row["ms"] else "" for kind in KINDS),
        )
        for name, row in rows.items()
    ]
    return markdown(Table("Propagation units", header, tuple(lines)))


def draw(rows: Rows, file: Path) -> None:
    """Draw PCK over the time of the quickest way to run each candidate."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.subplots()
    measured = [(name, row) for name, row in rows.items() if row["pck"]]
    for number, (name, row) in enumerate(measured):
        value = row["pck"]["torso@0.1"]
        if not row["ms"]:
            axes.axhline(value, color="grey", linestyle="--")
            axes.annotate(name, (0.99, value), xycoords=("axes fraction", "data"), ha="right")
            continue
        axes.plot(min(row["ms"].values()), value, marker="o", linestyle="", color=f"C{number}")
        axes.plot([], [], marker="o", linestyle="", color=f"C{number}", label=name)
    axes.set_xscale("log")
    axes.set_xlabel("ms on one thread, quickest runtime")
    axes.set_ylabel("PCK-torso@0.1 in %")
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize="small")
    figure.savefig(file, dpi=110)
