"""The log of a run: a CSV with one row per report, and its curves as a PNG."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from edgepose_runtime.errors import CheckpointError, OutputError


class RunningMean:
    """Means of what is measured at every step, and how fast steps go."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._sums: dict[str, float] = {}
        self._steps = self._images = 0
        self._seconds, self._since = 0.0, clock()

    def add(self, values: Mapping[str, float], images: int) -> None:
        """Take in one step."""
        for name, value in values.items():
            self._sums[name] = self._sums.get(name, 0.0) + value
        now = self._clock()
        self._steps, self._images = self._steps + 1, self._images + images
        self._seconds, self._since = self._seconds + now - self._since, now

    def restart_clock(self) -> None:
        """Leave out the time since the last step."""
        self._since = self._clock()

    def means(self) -> dict[str, float]:
        """Return the means, with ``images_per_second``, and start again."""
        means = {name: total / self._steps for name, total in self._sums.items()}
        means["images_per_second"] = self._images / max(self._seconds, 1e-9)
        self._sums, self._steps, self._images, self._seconds = {}, 0, 0, 0.0
        return means


class TrainingLog:
    """Appends rows to ``log.csv``; rows past the step that a run resumes from are dropped.

    Args:
        folder: where the log lies; made if it does not exist.
        resume_step: the last step whose row is kept.

    Raises:
        OutputError: the folder or the log cannot be written.
        CheckpointError: the log to go on with is damaged.
    """

    def __init__(self, folder: Path, resume_step: int) -> None:
        self._path = folder / "log.csv"
        with _writing(self._path):
            folder.mkdir(parents=True, exist_ok=True)
            self._rows = self._read(resume_step) if resume_step else []
            self._columns = list(self._rows[0]) if self._rows else []
            self._rewrite()

    def add(self, row: Mapping[str, float]) -> None:
        """Add one row; a new column is added to the whole file.

        Raises:
            OutputError: the log cannot be written.
        """
        text = {key: f"{value:.6g}" for key, value in row.items()}
        self._rows.append(text)
        new = [key for key in text if key not in self._columns]
        if new:
            self._columns += new
        with _writing(self._path):
            if new:
                self._rewrite()
            else:
                self._append(text)

    def column(self, name: str) -> list[tuple[int, float]]:
        """(step, value) where the column has a value."""
        return [(int(r["step"]), float(r[name])) for r in self._rows if r.get(name)]

    def plot(self, path: Path) -> None:
        """Draw every column over the steps; nothing before the first row.

        Raises:
            OutputError: the picture cannot be written.
        """
        from matplotlib.figure import Figure

        names = [name for name in self._columns if name != "step" and self.column(name)]
        if not names:
            return
        figure = Figure(figsize=(8, 2.2 * len(names)), dpi=100, layout="tight")
        axes = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
        for name, axis in zip(names, axes, strict=True):
            axis.plot(*zip(*self.column(name), strict=True), linewidth=1)
            axis.set_ylabel(name)
            axis.grid(alpha=0.3)
            # A discriminator's loss may fall below zero.
            if name.startswith("loss") and min(value for _, value in self.column(name)) > 0:
                axis.set_yscale("log")
        axes[-1].set_xlabel("step")
        with _writing(path):
            figure.savefig(path)

    def _read(self, last_step: int) -> list[dict[str, str]]:
        """The rows up to a step."""
        if not self._path.is_file():
            return []
        try:
            with self._path.open(newline="") as file:
                rows = list(csv.DictReader(file, strict=True))
            for row in rows:
                _require_numbers(row)
            return [row for row in rows if int(row["step"]) <= last_step]
        except (ValueError, KeyError, TypeError, csv.Error) as error:
            raise CheckpointError(
                f"The log {self._path} is damaged: {error!r} in a row of it. Mend that row, or "
                "move the file away to go on with an empty log."
            ) from error

    def _append(self, row: Mapping[str, str]) -> None:
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self) -> None:
        with self._path.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            if self._columns:
                writer.writeheader()
            writer.writerows(self._rows)


def _require_numbers(row: Mapping[str, str]) -> None:
    """Raise ValueError or TypeError for a row with too many or too few values, or other ones."""
    for value in row.values():
        if value != "":
            float(value)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OutputError(f"The file {path} cannot be written: {error}.") from error
