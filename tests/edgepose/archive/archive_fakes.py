"""Workers without networks: a video is a text file that says how many frames it has.

``walk 30`` has 30 frames. ``crash 30`` kills its worker at the frame 10 of the first try,
``hang`` never delivers a frame, ``broken`` is refused. A worker takes a while for each frame.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgepose.archive.driver import Limits
from edgepose.archive.engines.base import Event, EventKind
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.engines.worker import WorkerSettings, run_unit
from edgepose.archive.plan import Unit
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.archive.units.tracking import UnitSummary
from edgepose.pose_files.schema import require_pyarrow
from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.sinks.parquet import ParquetSink
from edgepose.testing import standing_person
from edgepose_runtime.errors import DeviceError, SourceError
from edgepose_runtime.poses.skeletons import PENN13

#: No file of :class:`SmallFiles` may have more bytes.
LARGEST_FILE = 100_000
#: Where a video that crashes does, once.
CRASH_AT = 10


@dataclass(frozen=True, slots=True)
class FakeSettings(WorkerSettings):
    """As those of real workers; a frame takes so many seconds."""

    frame_s: float = 0.0

    def tracker(self) -> FakeTracker:
        return FakeTracker(self)


class FakeTracker:
    def __init__(self, settings: FakeSettings) -> None:
        require_pyarrow()  # now, so that no unit waits for the import
        self._settings = settings

    def track(self, unit: Unit, out: Path, heartbeat) -> UnitSummary:
        kind, _, count = Path(unit.path).read_text(encoding="utf-8").partition(" ")
        if kind == "broken":
            raise SourceError("The video is broken.")
        if kind == "hang":
            threading.Event().wait()
        sink = ParquetSink(out, skeleton=PENN13, video=unit.video)
        try:
            for frame in range(int(count)):
                if kind == "crash" and frame == CRASH_AT and self._is_first_try(unit):
                    os.kill(os.getpid(), signal.SIGKILL)
                sink.write(result(unit.video, frame))
                heartbeat()
                time.sleep(self._settings.frame_s)
            sink.close()
        finally:
            sink.discard()
        return UnitSummary(int(count), int(count), int(count), 0.0)

    def _is_first_try(self, unit: Unit) -> bool:
        mark = self._settings.folder / f"{unit.unit}.tried"
        if mark.exists():
            return False
        mark.touch()
        return True


class InlineEngine:
    """Workers without processes: a unit is done when it is assigned."""

    loading_s = 600.0

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings, self._tracker = settings, settings.tracker()
        self._events: list[Event] = []

    def start(self, worker: int) -> None:
        self._events.append(Event(worker, EventKind.READY))

    def assign(self, worker: int, unit: Unit) -> None:
        def heartbeat() -> None:
            self._events.append(Event(worker, EventKind.PROGRESS, frames=1))

        self._events.append(run_unit(self._settings, self._tracker, worker, unit, heartbeat))

    def poll(self, timeout_s: float) -> list[Event]:  # noqa: ARG002 - the engine's signature
        events, self._events = self._events, []
        return events

    def kill(self, worker: int) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing runs."""


def result(video: str, frame: int) -> PoseResult:
    """Return a pose that tells video and frame."""
    keypoints = standing_person((100 + frame, 50 + len(video)), height=100, score=0.9)
    person = Person(1, keypoints, 0.9, Origin.PROPAGATED, 1, (0, 0, 9, 9), PersonState.TRACKED)
    return PoseResult(
        frame, 40.0 * frame, keypoints, None, (0, 0, 9, 9), Origin.PROPAGATED, 1, {}, PENN13,
        several=(person,),
    )  # fmt: skip


def archive(source, out, *, workers=2, frame_s=0.0, engine=InlineEngine, **options):
    """Run an archive with fake workers."""

    def make_engine(settings: WorkerSettings):
        fake = FakeSettings(
            settings.folder, settings.tracking, settings.overlap, settings.metadata, frame_s
        )
        return engine(fake)

    watch = {name: options.pop(name) for name in ("should_stop", "observe") if name in options}
    options.setdefault("limits", Limits(stall_timeout_s=20.0))
    job = ArchiveJob(str(source), Path(out), **options)
    return run_archive(job, make_engine, workers, **watch)


def expected_rows(source: Path) -> list[tuple[str, int, float]]:
    """Return (video, frame, x of the head) of all whole videos."""
    rows = []
    for path in sorted(source.iterdir()):
        kind, _, count = path.read_text(encoding="utf-8").partition(" ")
        if kind in ("walk", "crash"):
            rows += [(path.name, frame, np.float32(100 + frame)) for frame in range(int(count))]
    return rows


@dataclass(frozen=True, slots=True)
class SmallFiles(FakeSettings):
    """As fake workers on a disk that is soon full: no file may be large."""

    def tracker(self) -> FakeTracker:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # an error in place of the end
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST_FILE, LARGEST_FILE))
        return FakeTracker(self)


@dataclass(frozen=True, slots=True)
class Unusable(FakeSettings):
    """Workers whose model cannot be loaded."""

    def tracker(self) -> FakeTracker:
        raise DeviceError("There is no such device: no such device.")


if __name__ == "__main__":  # a driver that tests kill
    archive(sys.argv[1], sys.argv[2], frame_s=float(sys.argv[3]), engine=LocalEngine)
