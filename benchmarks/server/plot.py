"""The curve of the sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.server.sweep import LOSSES, MEASURES


def draw(content: dict[str, Any], file: Path) -> None:
    """Draw accuracy against delay, one panel for each head."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    heads = content["heads"]
    figure, panels = plt.subplots(
        1, len(heads), figsize=(5 * len(heads), 4), layout="constrained", squeeze=False
    )
    label = MEASURES[0].label
    for panel, (name, found) in zip(panels[0], heads.items(), strict=True):
        rows = found["rows"]
        for lost in LOSSES:
            late = [row for row in rows if row["delay_ms"] is not None and not row["instant"]]
            points = [(row["delay_ms"], row[label]) for row in late if row["lost"] == lost]
            panel.plot(*zip(*points, strict=True), "o-", label=f"{lost:.0%} lost")
        body = next(row[label] for row in rows if row["delay_ms"] is None)
        ideal = next(row[label] for row in rows if row["instant"])
        panel.axhline(body, color="grey", linestyle=":", label="body alone")
        panel.axhline(ideal, color="grey", linestyle="--", label="instant head")
        panel.set(title=name, xlabel="delay of the answer in ms")
        panel.legend()
    panels[0][0].set_ylabel(f"{label} in percent")
    figure.savefig(file, dpi=110)
    plt.close(figure)
