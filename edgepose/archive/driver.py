"""Runs a plan: gives units to workers, counts tries, ends what hangs, and records failures."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from edgepose.archive.engines.base import Engine, Event, EventKind
from edgepose.archive.folder import ArchiveFolder, Failure
from edgepose.archive.plan import Unit
from edgepose.archive.report import RunReport
from edgepose.archive.units.joining import RangeJoiner
from edgepose_runtime.checks import is_finite_number, require_whole
from edgepose_runtime.errors import ConfigError, InferenceError, OutputError

_POLL_S = 0.25


@dataclass(frozen=True, slots=True)
class Limits:
    """When a unit is given up.

    Attributes:
        tries: how often a unit is tried whose worker dies, hangs or fails for a passing reason.
        unit_timeout_s: a unit may take so long.
        stall_timeout_s: a video that delivers no frame for so long hangs.

    Raises:
        ConfigError: a number is not above 0.
    """

    tries: int = 3
    unit_timeout_s: float = 7200.0
    stall_timeout_s: float = 120.0

    def __post_init__(self) -> None:
        require_whole(self, ("tries",), 1)
        for name in ("unit_timeout_s", "stall_timeout_s"):
            value = getattr(self, name)
            if not is_finite_number(value) or value <= 0:
                raise ConfigError(f"{name} must be a number of seconds above 0; got {value!r}.")


@dataclass(slots=True)
class WorkerState:
    """What a worker does at present.

    Attributes:
        unit: its unit; ``None`` while it has none.
        ready: its model is loaded.
        frames: frames of the unit that it has read.
        began: when the unit, or the worker, was started, on the monotonic clock.
        heard: when it last reported.
    """

    unit: Unit | None = None
    ready: bool = False
    frames: int = 0
    began: float = field(default_factory=time.monotonic)
    heard: float = field(default_factory=time.monotonic)


class ArchiveRun:
    """One run over the units that are not done.

    Args:
        folder: the archive.
        units: what is to be done, in this order.
        engine: runs them.
        workers: how many.
        joiner: makes parts of the ranges of cut videos.
        limits: when a unit is given up.
        should_stop: asked a few times a second whether to end.
        observe: called a few times a second, for a display.

    Attributes:
        report: what was done so far.
        total: how many units there are.
        workers: what each worker does.
    """

    def __init__(
        self,
        folder: ArchiveFolder,
        units: Iterable[Unit],
        engine: Engine,
        workers: int,
        joiner: RangeJoiner,
        limits: Limits,
        should_stop: Callable[[], bool],
        observe: Callable[[ArchiveRun], object],
    ) -> None:
        self._folder, self._engine, self._joiner = folder, engine, joiner
        self._limits, self._should_stop, self._observe = limits, should_stop, observe
        self._waiting = deque(units)
        self._tries: dict[str, int] = {}
        self._failed_starts = 0
        self.report = RunReport()
        self.total = len(self._waiting)
        self.workers = [WorkerState() for _ in range(min(workers, len(self._waiting)))]

    def run(self) -> None:
        """Do all units; those that fail are recorded.

        Raises:
            OutputError: the disk is full or gone. What is done stays.
            EdgePoseError: the model cannot be loaded.
        """
        try:
            for worker in range(len(self.workers)):
                self._start(worker)
            while not self._should_stop() and (self._waiting or self._is_busy()):
                self._assign()
                for event in self._engine.poll(_POLL_S):
                    self._take(event)
                self._end_hanging()
                self._observe(self)
        finally:
            self._engine.close()

    def _is_busy(self) -> bool:
        return any(state.unit is not None for state in self.workers)

    def _start(self, worker: int) -> None:
        self.workers[worker] = WorkerState()
        self._engine.start(worker)

    def _assign(self) -> None:
        for worker, state in enumerate(self.workers):
            if self._waiting and state.ready and state.unit is None:
                state.unit, state.frames = self._waiting.popleft(), 0
                state.began = state.heard = time.monotonic()
                self._engine.assign(worker, state.unit)

    def _take(self, event: Event) -> None:
        state = self.workers[event.worker]
        if event.kind is not EventKind.PROGRESS or event.frames:
            state.heard = time.monotonic()
        if event.kind is EventKind.READY:
            state.ready = True
        elif event.kind is EventKind.PROGRESS:
            state.frames += event.frames
        elif event.kind is EventKind.UNUSABLE:
            raise InferenceError(event.reason)
        elif event.kind is EventKind.OUTPUT_FAILED:
            raise OutputError(f"{event.reason} What is done stays; the next run goes on there.")
        elif event.kind is EventKind.DONE:
            self._finish(state, event)
        elif event.kind is EventKind.FAILED:
            self._fail(state, event.reason, permanent=event.permanent)
        else:
            self._replace(event.worker, event.reason)

    def _finish(self, state: WorkerState, event: Event) -> None:
        unit, state.unit = state.unit, None
        if unit is not None and event.summary is not None:
            self.report.add(unit, event.summary)
            if unit.is_cut:
                self._joiner.add(unit)

    def _fail(self, state: WorkerState, reason: str, *, permanent: bool = False) -> None:
        """Record that the unit of a worker failed, and try it again later if it may."""
        unit, state.unit = state.unit, None
        if unit is None:
            return
        tries = self._tries[unit.unit] = self._tries.get(unit.unit, 0) + 1
        final = permanent or tries >= self._limits.tries
        self._folder.add_failure(
            Failure(unit.unit, unit.video, unit.start, reason, tries, final, time.time())
        )
        if final:
            self.report.failed += 1
        else:
            self._waiting.append(unit)

    def _replace(self, worker: int, reason: str) -> None:
        """Start a worker in the place of one that ended."""
        state = self.workers[worker]
        if not state.ready:
            self._failed_starts += 1
            if self._failed_starts > self._limits.tries:
                raise InferenceError(f"The workers cannot be started: {reason}")
        self._fail(state, reason)
        if self._waiting or self._is_busy():
            self._start(worker)

    def _end_hanging(self) -> None:
        now = time.monotonic()
        for worker, state in enumerate(self.workers):
            reason = self._why_hanging(state, now)
            if reason:
                self._engine.kill(worker)
                self._replace(worker, reason)

    def _why_hanging(self, state: WorkerState, now: float) -> str:
        limits = self._limits
        if not state.ready and now - state.heard > self._engine.loading_s:
            return f"Loading the model took more than {self._engine.loading_s:g} s."
        if state.unit is None:
            return ""
        if now - state.began > limits.unit_timeout_s:
            return f"It took more than {limits.unit_timeout_s:g} s (--unit-timeout)."
        if now - state.heard > limits.stall_timeout_s:
            return (
                f"The video delivered no frame for {limits.stall_timeout_s:g} s (--stall-timeout); "
                f"{state.frames} frames were read."
            )
        return ""
