"""What ``edgepose archive`` shows while it runs, and at the end."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from edgepose.archive.driver import ArchiveRun, WorkerState
from edgepose.archive.report import RunReport, Status
from edgepose.utils.progress import show_progress

Observe = Callable[[ArchiveRun], object]
_LONGEST_NAME = 40


@contextmanager
def archive_display() -> Iterator[Observe]:
    """Show progress: on a terminal a line for each worker, in a log a line every five seconds."""
    bars = _rich_bars() if sys.stderr.isatty() else None
    if bars is not None:
        with bars:
            yield _Bars(bars).show
        return
    with show_progress("archive, frames", None) as lines:
        yield _Lines(lines).show


class _Lines:
    def __init__(self, progress: Any) -> None:
        self._progress, self._frames = progress, 0

    def show(self, run: ArchiveRun) -> None:
        frames = run.report.frames + sum(state.frames for state in run.workers if state.unit)
        note = f"units done: {run.report.units}, failed: {run.report.failed}"
        self._progress.advance(max(0, frames - self._frames), note)
        self._frames = max(frames, self._frames)


class _Bars:
    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._units: Any = None
        self._workers: list[Any] = []

    def show(self, run: ArchiveRun) -> None:
        report = run.report
        if self._units is None:
            self._units = self._bars.add_task("units", total=run.total, note="")
            self._workers = [
                self._bars.add_task(f"worker {number + 1}", total=None, note="")
                for number in range(len(run.workers))
            ]
        rate = report.frames / max(report.seconds, 1e-9)
        note = f"{report.frames} frames, {rate:.1f}/s, {report.failed} failed"
        self._bars.update(self._units, completed=report.units + report.failed, note=note)
        for task, state in zip(self._workers, run.workers, strict=True):
            self._bars.update(task, completed=state.frames, note=_worker_note(state))


def _worker_note(state: WorkerState) -> str:
    if state.unit is None:
        return "" if state.ready else "loading the model"
    return state.unit.video[-_LONGEST_NAME:]


def _rich_bars() -> Any | None:
    try:
        from rich import progress
        from rich.console import Console
    except ImportError:
        return None
    return progress.Progress(
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[note]}", markup=False),
        progress.TimeElapsedColumn(),
        console=Console(stderr=True),
    )


def report_text(report: RunReport, workers: int) -> str:
    """Return what a run did, in a few lines."""
    if not report.units + report.failed:
        return "Nothing was left to do.\n"
    seconds = max(report.seconds, 1e-9)
    share = 100 * report.with_person / report.frames if report.frames else 0
    busy = 100 * report.busy_s / (seconds * workers)
    return (
        f"Tracked {report.frames} frames in {seconds:.1f} s "
        f"({report.frames / seconds:.1f} frames/s). "
        f"Units done: {report.units}, failed: {report.failed}.\n"
        f"Found {report.poses} poses; {share:.0f} % of the frames have a person. "
        f"Workers: {workers}, busy for {min(busy, 100):.0f} % of the time.\n"
    )


def status_text(status: Status) -> str:
    """Return how far an archive is, with why units failed."""
    state = "running" if status.running else "not running"
    lines = [f"{status.done} done, {len(status.failed)} failed, {status.left} left; {state}."]
    if status.frames_per_second:
        lines.append(f"{status.frames_per_second:.1f} frames/s in the present or last run.")
    if status.seconds_left is not None and status.left:
        lines.append(f"Time left: {timedelta(seconds=round(status.seconds_left))} (by file sizes).")
    lines += [
        f"failed: {failure.video}, from frame {failure.start}: {failure.reason}"
        for failure in status.failed
    ]
    return "\n".join(lines) + "\n"
