"""The log of a run: a CSV with one row per report, and its curves as a PNG."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path


class Journal:
    """Appends rows to ``log.csv``; rows past the step that a run resumes from are dropped."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        self.path = folder / "log.csv"
        self._rows = [row for row in self._read() if int(row["step"]) <= resume_step]
        self._columns = list(self._rows[0]) if self._rows else []
        self._rewrite()

    def add(self, row: Mapping[str, float]) -> None:
        """Add one row; a new column is added to the whole file."""
        text = {key: f"{value:.6g}" for key, value in row.items()}
        self._rows.append(text)
        new = [key for key in text if key not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
            return
        with self.path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(text)

    def column(self, name: str) -> list[tuple[int, float]]:
        """(step, value) where the column has a value."""
        return [(int(r["step"]), float(r[name])) for r in self._rows if r.get(name)]

    def plot(self, path: Path) -> None:
        """Draw every column over the steps."""
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot

        names = [name for name in self._columns if name != "step" and self.column(name)]
        figure, axes = pyplot.subplots(len(names), 1, figsize=(8, 2.2 * len(names)), sharex=True)
        for name, axis in zip(names, axes if len(names) > 1 else [axes], strict=True):
            axis.plot(*zip(*self.column(name), strict=True), linewidth=1)
            axis.set_ylabel(name)
            axis.grid(alpha=0.3)
            if name.startswith("loss"):
                axis.set_yscale("log")
        figure.supxlabel("step")
        figure.tight_layout()
        figure.savefig(path, dpi=100)
        pyplot.close(figure)

    def _read(self) -> list[dict[str, str]]:
        if not self.path.is_file():
            return []
        with self.path.open(newline="") as file:
            return list(csv.DictReader(file))

    def _rewrite(self) -> None:
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if self._columns:
                writer.writeheader()
            writer.writerows(self._rows)
