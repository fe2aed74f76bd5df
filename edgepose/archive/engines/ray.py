"""Workers as actors of a Ray cluster."""

from __future__ import annotations

import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from edgepose.archive.engines.base import Event, EventKind
from edgepose.archive.engines.worker import WorkerSettings, run_unit
from edgepose.archive.plan import Unit
from edgepose_runtime.errors import BackendUnavailableError, ConfigError

#: Frames are asked for this often.
_REPORT_S = 1.0
#: A cluster of this machine's own: nobody looks at its dashboard, and only small messages pass.
_LOCAL_CLUSTER = {"include_dashboard": False, "object_store_memory": 128 * 2**20}
#: Workers run at normal priority, as those of the local engine, and no usage statistics are sent.
_ENVIRONMENT = {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}


class _Worker:
    """An actor: loads the model, and tracks one unit at a time.

    A second thread of it tells how many frames were read.
    """

    def __init__(self, settings: WorkerSettings, worker: int) -> None:
        self._settings, self._worker = settings, worker
        self._frames = 0
        self._tracker: Any = None

    def load(self) -> Event:
        """Load the model."""
        try:
            self._tracker = self._settings.tracker()
        except Exception as error:  # noqa: BLE001 - the driver tells
            return Event(self._worker, EventKind.UNUSABLE, reason=str(error))
        return Event(self._worker, EventKind.READY)

    def run(self, unit: Unit) -> Event:
        """Track a unit."""
        return run_unit(self._settings, self._tracker, self._worker, unit, self._count)

    def progress(self) -> Event:
        """Return how many frames were read since the last call."""
        frames, self._frames = self._frames, 0
        return Event(self._worker, EventKind.PROGRESS, frames)

    def _count(self) -> None:
        self._frames += 1


@dataclass(slots=True)
class _Actor:
    handle: Any
    asked: float = 0.0
    answer: Any = None
    has_unit: bool = False


class RayEngine:
    """Actors of a Ray cluster, each with a CPU and a model of its own; see :class:`Engine`.

    All machines must see the videos and the folder of the archive at the same paths.

    Args:
        settings: for the workers.
        address: of a cluster, such as ``"auto"`` or ``"ray://host:10001"``; ``None`` for one on
            this machine, which ends with the run.

    Raises:
        BackendUnavailableError: Ray is not installed.
        ConfigError: there is no cluster at the address.
    """

    #: An actor waits until a machine has a free CPU, as after the loss of one.
    loading_s = math.inf

    def __init__(self, settings: WorkerSettings, address: str | None = None) -> None:
        self._ray = require_ray()
        self._has_connected = connect(address)
        self._settings = settings
        self._class = self._ray.remote(num_cpus=1, max_restarts=0, max_concurrency=2)(_Worker)
        self._actors: dict[int, _Actor] = {}
        self._pending: dict[Any, int] = {}

    def start(self, worker: int) -> None:
        """Start an actor as soon as a CPU is free."""
        handle = self._class.remote(self._settings, worker)
        self._actors[worker] = _Actor(handle)
        self._pending[handle.load.remote()] = worker

    def assign(self, worker: int, unit: Unit) -> None:
        """Give a unit to an actor."""
        actor = self._actors[worker]
        actor.has_unit, actor.asked = True, time.monotonic()
        self._pending[actor.handle.run.remote(unit)] = worker

    def poll(self, timeout_s: float) -> list[Event]:
        """Return what the actors reported."""
        self._ask_for_progress()
        ready, _ = self._ray.wait(list(self._pending), timeout=timeout_s)
        return [self._receive(reference) for reference in ready if reference in self._pending]

    def kill(self, worker: int) -> None:
        """Kill an actor's process."""
        actor = self._actors.pop(worker, None)
        if actor is not None:
            self._ray.kill(actor.handle, no_restart=True)
        self._pending = {ref: who for ref, who in self._pending.items() if who != worker}

    def close(self) -> None:
        """Kill all actors, and end the connection, with the cluster if it was started here."""
        for worker in list(self._actors):
            self.kill(worker)
        if self._has_connected:
            _kill_autoscaler(self._ray)
            self._ray.shutdown()

    def _ask_for_progress(self) -> None:
        now = time.monotonic()
        for worker, actor in self._actors.items():
            if actor.has_unit and actor.answer is None and now - actor.asked >= _REPORT_S:
                actor.asked, actor.answer = now, actor.handle.progress.remote()
                self._pending[actor.answer] = worker

    def _receive(self, reference: Any) -> Event:
        worker = self._pending.pop(reference)
        actor = self._actors[worker]
        try:
            event: Event = self._ray.get(reference)
        except self._ray.exceptions.RayError as error:
            self.kill(worker)
            return Event(worker, EventKind.DIED, reason=f"The worker ended: {_last_line(error)}")
        if reference == actor.answer:
            actor.answer = None
        else:
            actor.has_unit = False
        return event


def require_ray() -> Any:
    """Return the package Ray.

    Raises:
        BackendUnavailableError: it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise BackendUnavailableError(
            'The engine ray needs the package Ray: pip install "edgepose[ray]"'
        ) from error
    return ray


def connect(address: str | None) -> bool:
    """Connect to a cluster, or start one on this machine.

    Returns:
        Whether this call did so; ``False`` where the process is connected already.

    Raises:
        ConfigError: there is none at the address, or Ray does not start on this machine.
    """
    ray = require_ray()
    if ray.is_initialized():
        return False
    options = {} if address else _LOCAL_CLUSTER
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        ray.init(
            address=address or "local", log_to_driver=False, configure_logging=False, **options
        )
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(_no_cluster(address, error)) from error
    return True


def cluster_cpus(address: str) -> int:
    """Return how many CPUs a cluster has.

    Raises:
        ConfigError: there is none at the address.
    """
    connect(address)
    return max(1, int(require_ray().cluster_resources().get("CPU", 1)))


def _kill_autoscaler(ray: Any) -> None:
    """Kill the autoscaler of a local cluster, which has no machine to add.

    It does not react to SIGTERM, and ``ray.shutdown`` would wait a second for it.
    """
    with suppress(AttributeError):  # private attributes of Ray: without them it takes the second
        for each in ray._private.worker._global_node.all_processes.get("monitor", ()):
            each.process.kill()


def _no_cluster(address: str | None, error: BaseException) -> str:
    if address is None:
        return f"Ray does not start on this machine: {_last_line(error)} Use --engine local."
    return (
        f"There is no Ray cluster at {address!r}: {_last_line(error)} Start one with "
        "'ray start --head', or leave --address out."
    )


def _last_line(error: BaseException) -> str:
    """Return the end of a message of Ray, where the cause is."""
    return (str(error).strip().splitlines() or [type(error).__name__])[-1]
