"""What a run did, and how far an archive is."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from edgepose.archive.folder import ArchiveFolder, Failure
from edgepose.archive.plan import Unit, read_plan
from edgepose.archive.units.tracking import UnitSummary

#: A run that has said nothing for so long is over.
_SILENT_S = 30.0


@dataclass(slots=True)
class RunReport:
    """What a run did.

    Attributes:
        units: done in this run.
        failed: given up in this run.
        size: bytes of the files that were tracked.
        frames: frames that were tracked.
        with_person: those of them with a pose.
        poses: rows of people.
        busy_s: seconds that the workers spent on units, together.
        began: when the run was started, on the monotonic clock.
    """

    units: int = 0
    failed: int = 0
    size: int = 0
    frames: int = 0
    with_person: int = 0
    poses: int = 0
    busy_s: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def add(self, unit: Unit, summary: UnitSummary) -> None:
        """Take in a unit."""
        self.units += 1
        self.size += unit.size
        self.frames += summary.frames
        self.with_person += summary.with_person
        self.poses += summary.poses
        self.busy_s += summary.seconds

    @property
    def seconds(self) -> float:
        """How long the run has taken."""
        return time.monotonic() - self.began

    def as_progress(self) -> dict[str, Any]:
        """Return what ``--status`` needs of a run."""
        return {
            "units": self.units,
            "frames": self.frames,
            "size": self.size,
            "seconds": self.seconds,
        }


@dataclass(frozen=True, slots=True)
class Status:
    """How far an archive is.

    Attributes:
        done: units with a part.
        failed: units that were given up, with the reason.
        left: units that are to be done.
        running: a run works on it.
        frames_per_second: of the present or the last run; 0 if it finished no unit.
        seconds_left: an estimate by the sizes of files, ``None`` without a run to tell from.
    """

    done: int
    failed: tuple[Failure, ...]
    left: int
    running: bool
    frames_per_second: float
    seconds_left: float | None


def read_status(folder: ArchiveFolder) -> Status:
    """Return how far an archive is.

    Raises:
        PoseFileError: the folder is none of an archive, or a file in it is damaged.
    """
    folder.description()
    units, done = read_plan(folder.plan), folder.done()
    failed = given_up(units, done, folder.failures())
    names = {failure.unit for failure in failed}
    left = [unit for unit in units if unit.unit not in done and unit.unit not in names]
    progress = folder.progress()
    seconds = float(progress.get("seconds", 0.0))
    size = sum(unit.size for unit in left)
    rate = float(progress.get("size", 0)) / seconds if seconds else 0.0
    return Status(
        done=len(units) - len(left) - len(failed),
        failed=failed,
        left=len(left),
        running=bool(left) and time.time() - progress.get("updated", 0.0) < _SILENT_S,
        frames_per_second=progress.get("frames", 0) / seconds if seconds else 0.0,
        seconds_left=size / rate if rate else None,
    )


def given_up(
    units: Iterable[Unit], done: Collection[str], failures: dict[str, Failure]
) -> tuple[Failure, ...]:
    """Return the failures of units that are not tried again."""
    found = (failures.get(unit.unit) for unit in units if unit.unit not in done)
    return tuple(failure for failure in found if failure is not None and failure.final)
