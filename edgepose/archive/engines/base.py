"""What runs units: workers that are given one at a time, and report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from edgepose.archive.plan import Unit
from edgepose.archive.units.tracking import UnitSummary
from edgepose_runtime.text_enum import TextEnum


class EventKind(TextEnum):
    """What a worker reports."""

    READY = "ready"
    """Its model is loaded."""
    PROGRESS = "progress"
    """It read frames."""
    DONE = "done"
    """The unit's file is written."""
    FAILED = "failed"
    """The unit failed, and the worker goes on."""
    OUTPUT_FAILED = "output_failed"
    """The unit's file cannot be written: no other unit's could."""
    UNUSABLE = "unusable"
    """The model cannot be loaded."""
    DIED = "died"
    """The worker ended; its unit is lost."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a worker reports.

    Attributes:
        worker: its number, from 0.
        kind: what happened.
        frames: frames read since the last report.
        reason: a sentence, of failures.
        permanent: trying again would end the same way.
        summary: of a unit that is done.
    """

    worker: int
    kind: EventKind
    frames: int = 0
    reason: str = ""
    permanent: bool = False
    summary: UnitSummary | None = None


class Engine(Protocol):
    """Workers, each with a model of its own.

    Attributes:
        loading_s: a worker that is not ready after so many seconds is given up.
    """

    loading_s: float

    def start(self, worker: int) -> None:
        """Start a worker, also in the place of one that ended."""

    def assign(self, worker: int, unit: Unit) -> None:
        """Give a unit to a worker that has none."""

    def poll(self, timeout_s: float) -> list[Event]:
        """Return what was reported, after waiting so long at most for something."""

    def kill(self, worker: int) -> None:
        """End a worker at once, whatever it does; it reports nothing more."""

    def close(self) -> None:
        """End all workers."""
