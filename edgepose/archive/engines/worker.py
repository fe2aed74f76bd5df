"""A worker process: loads the model once, and tracks the units that it is given."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from edgepose.archive.engines.base import Event, EventKind
from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.plan import Unit
from edgepose.archive.settings import TrackSettings
from edgepose.archive.units.tracking import Heartbeat, UnitTracker
from edgepose.utils.signals import ignore_signals
from edgepose_runtime.errors import EdgePoseError, FrameError, OutputError, SourceError

#: Progress is reported this often at most.
_REPORT_S = 0.25


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What each worker of a run needs.

    Attributes:
        folder: the archive.
        tracking: how to track.
        overlap: frames before a range that are tracked, too.
        metadata: for the files.
    """

    folder: Path
    tracking: TrackSettings
    overlap: int
    metadata: dict[str, Any] = field(default_factory=dict)

    def tracker(self) -> UnitTracker:
        """Load the model."""
        return UnitTracker(self.tracking, self.overlap, self.metadata)


def run_unit(
    settings: WorkerSettings, tracker: UnitTracker, worker: int, unit: Unit, heartbeat: Heartbeat
) -> Event:
    """Track a unit, and return how it ended."""
    try:
        out = ArchiveFolder(settings.folder).output(unit)
        summary = tracker.track(unit, out, heartbeat)
    except OutputError as error:
        return Event(worker, EventKind.OUTPUT_FAILED, reason=str(error))
    except (SourceError, FrameError) as error:
        return Event(worker, EventKind.FAILED, reason=str(error), permanent=True)
    except Exception as error:  # noqa: BLE001 - one video must not end the others
        reason = (
            str(error) if isinstance(error, EdgePoseError) else f"{type(error).__name__}: {error}"
        )
        return Event(worker, EventKind.FAILED, reason=reason)
    return Event(worker, EventKind.DONE, summary=summary)


def work(connection: Connection, worker: int, settings: WorkerSettings) -> None:
    """Track the units that come until the process is killed; its main function."""
    ignore_signals(worker)
    _end_with_parent()
    try:
        tracker = settings.tracker()
    except Exception as error:  # noqa: BLE001 - the driver tells
        connection.send(Event(worker, EventKind.UNUSABLE, reason=str(error)))
        return
    connection.send(Event(worker, EventKind.READY))
    while True:
        unit = connection.recv()
        heartbeat = _ProgressReports(connection, worker)
        connection.send(run_unit(settings, tracker, worker, unit, heartbeat))


class _ProgressReports:
    """Sends how many frames were read, a few times a second."""

    def __init__(self, connection: Connection, worker: int) -> None:
        self._connection, self._worker = connection, worker
        self._frames, self._last = 0, time.monotonic()

    def __call__(self) -> None:
        self._frames += 1
        now = time.monotonic()
        if now - self._last >= _REPORT_S:
            self._connection.send(Event(self._worker, EventKind.PROGRESS, self._frames))
            self._frames, self._last = 0, now


def _end_with_parent() -> None:
    """End this process with the driver, also where a decoder hangs."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os._exit(1)

    threading.Thread(target=watch, name="edgepose parent watch", daemon=True).start()
