"""A whole run of an archive: plan, what is left of it, workers, parts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgepose.archive.driver import ArchiveRun, Limits
from edgepose.archive.engines.base import Engine
from edgepose.archive.engines.worker import WorkerSettings
from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.plan import Unit, plan_units, read_plan, write_plan
from edgepose.archive.report import RunReport, given_up
from edgepose.archive.settings import CutSettings, TrackSettings, describe_run
from edgepose.archive.units.joining import RangeJoiner
from edgepose.archive.videos import find_videos
from edgepose.pose_files.schema import require_pyarrow

_PROGRESS_S = 2.0
#: What the parts say of themselves.
_METADATA = ("model", "model_sha256", "options", "versions")


@dataclass(frozen=True, slots=True)
class ArchiveJob:
    """What is to be done.

    Attributes:
        source: folder, manifest or pattern; see :func:`find_videos`.
        out: the folder of the archive.
        tracking: how each video is tracked.
        cut: how long files are cut.
        limits: when a unit is given up.
        retry_failed: try units again that were given up in earlier runs.
    """

    source: str
    out: Path
    tracking: TrackSettings = field(default_factory=TrackSettings)
    cut: CutSettings = field(default_factory=CutSettings)
    limits: Limits = field(default_factory=Limits)
    retry_failed: bool = False


def run_archive(
    job: ArchiveJob,
    make_engine: Callable[[WorkerSettings], Engine],
    workers: int,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    observe: Callable[[ArchiveRun], object] = lambda _: None,
) -> RunReport:
    """Track what is missing of an archive.

    Args:
        job: what is to be done.
        make_engine: makes the workers.
        workers: how many.
        should_stop: asked a few times a second whether to end; what is running is given up.
        observe: called a few times a second, for a display.

    Raises:
        ConfigError: the archive was made with another model or other options.
        SourceError: there are no videos.
        OutputError: the folder cannot be written.
        EdgePoseError: the model cannot be used.
    """
    require_pyarrow()
    description = describe_run(job.tracking, job.cut)
    videos = find_videos(job.source)
    folder = ArchiveFolder(job.out)
    folder.prepare(description)
    with folder.locked():
        folder.remove_temporary()
        units = list(plan_units(videos, job.cut))
        done = _update_plan(folder, units)
        todo = _left(folder, units, done, retry_failed=job.retry_failed)
        joiner = RangeJoiner(folder, units, single=job.tracking.several is None)
        metadata = {name: description[name] for name in _METADATA}
        engine = make_engine(
            WorkerSettings(job.out.resolve(), job.tracking, job.cut.overlap, metadata)
        )
        progress = _ProgressFile(folder, observe)
        run = ArchiveRun(
            folder, todo, engine, workers, joiner, job.limits, should_stop, progress.update
        )
        try:
            run.run()
            if not should_stop():
                joiner.finish()
        finally:
            if todo:
                folder.remove_temporary()  # of workers that died or were stopped
                folder.write_progress(run.report.as_progress())
    return run.report


class _ProgressFile:
    """Passes on how far a run is, to the file at times."""

    def __init__(self, folder: ArchiveFolder, observe: Callable[[ArchiveRun], object]) -> None:
        self._folder, self._observe = folder, observe
        self._written = 0.0

    def update(self, run: ArchiveRun) -> None:
        now = time.monotonic()
        if now - self._written >= _PROGRESS_S:
            self._folder.write_progress(run.report.as_progress())
            self._written = now
        self._observe(run)


def _update_plan(folder: ArchiveFolder, units: Sequence[Unit]) -> set[str]:
    """Write the plan, and return which units are done.

    Parts of files that have changed are removed; those of files that are gone are kept.
    """
    done, names = folder.done(), {unit.unit for unit in units}
    videos = {unit.video for unit in units}
    kept = []
    for old in read_plan(folder.plan):
        if old.unit not in names and old.video not in videos and old.unit in done:
            kept.append(old)
        elif old.unit not in names:
            folder.part(old.unit).unlink(missing_ok=True)
            folder.piece(old.unit).unlink(missing_ok=True)
    write_plan(folder.plan, [*units, *kept])
    return done


def _left(
    folder: ArchiveFolder, units: Sequence[Unit], done: set[str], *, retry_failed: bool
) -> list[Unit]:
    """Return the units that are to be tracked."""
    skipped = set(done)
    if not retry_failed:
        skipped |= {failure.unit for failure in given_up(units, done, folder.failures())}
    return [
        unit
        for unit in units
        if unit.unit not in skipped and not (unit.is_cut and folder.piece(unit.unit).exists())
    ]
