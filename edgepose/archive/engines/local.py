"""Workers as processes of this machine."""

from __future__ import annotations

import multiprocessing
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from edgepose.archive.engines.base import Event, EventKind
from edgepose.archive.engines.worker import WorkerSettings, work
from edgepose.archive.plan import Unit

_JOIN_S = 5.0


@dataclass(slots=True)
class _Process:
    process: SpawnProcess
    connection: Connection


class LocalEngine:
    """A pool of processes, each with a model of its own; see :class:`Engine`.

    Processes are spawned, not forked: threads of OpenVINO do not survive a fork.

    Args:
        settings: for the workers.
    """

    #: Loading a model compiles it the first time.
    loading_s = 600.0

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._context = multiprocessing.get_context("spawn")
        self._processes: dict[int, _Process] = {}

    def start(self, worker: int) -> None:
        """Start a process."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=work,
            args=(theirs, worker, self._settings),
            name=f"edgepose archive worker {worker + 1}",
            daemon=True,
        )
        process.start()
        theirs.close()  # so that the end of the process is the end of the pipe
        self._processes[worker] = _Process(process, ours)

    def assign(self, worker: int, unit: Unit) -> None:
        """Give a unit to a process; one that has just ended will be reported as dead."""
        with suppress(OSError):
            self._processes[worker].connection.send(unit)

    def poll(self, timeout_s: float) -> list[Event]:
        """Return what the processes reported."""
        workers = {each.connection: worker for worker, each in self._processes.items()}
        ready = wait(list(workers), timeout_s)
        return [self._receive(workers[each]) for each in ready if isinstance(each, Connection)]

    def kill(self, worker: int) -> None:
        """Kill a process and wait for its end."""
        ended = self._processes.pop(worker, None)
        if ended is not None:
            ended.process.kill()
            ended.process.join(_JOIN_S)
            ended.connection.close()

    def close(self) -> None:
        """Kill all processes: what they have not finished leaves no trace."""
        for worker in list(self._processes):
            self.kill(worker)

    def pids(self) -> dict[int, int]:
        """Return the process number of each worker."""
        return {worker: each.process.pid or 0 for worker, each in self._processes.items()}

    def _receive(self, worker: int) -> Event:
        try:
            event: Event = self._processes[worker].connection.recv()
        except (EOFError, OSError):
            process = self._processes[worker].process
            process.join(_JOIN_S)
            self.kill(worker)
            return Event(worker, EventKind.DIED, reason=_how_it_ended(process.exitcode))
        return event


def _how_it_ended(code: int | None) -> str:
    if code is not None and code < 0:
        return f"The worker was ended by signal {-code}, as by a lack of memory or a crash."
    return f"The worker ended with the exit code {code}."
