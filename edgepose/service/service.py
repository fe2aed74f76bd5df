"""A service: a pool of cameras that runs until it is told to stop."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from edgepose.inference.model import PoseModel
from edgepose.options import EngineOptions
from edgepose.pool import TrackerPool
from edgepose.preview.health import Health
from edgepose.remote.settings import head_with_token
from edgepose.service.config import CameraConfig, ServiceConfig
from edgepose.service.outputs import ServiceOutputs
from edgepose.service.supervisor import Supervisor
from edgepose.stats import TrackerStats
from edgepose_runtime.capture import LiveSettings, open_source
from edgepose_runtime.errors import SourceError

logger = logging.getLogger("edgepose")

#: Seconds between two looks at a stop signal, and between two signs of life without a watchdog.
_LOOK_S, _SIGN_S = 0.25, 5.0
#: Seconds for frames that were submitted before the end, and for reads that do not return.
_CLOSE_S = 0.5


class Service:
    """Runs a configuration.

    Args:
        config: cameras, model and outputs.
        supervisor: is told how it goes.

    Attributes:
        stats: by camera; what they were at the end once it has stopped.
    """

    def __init__(self, config: ServiceConfig, supervisor: Supervisor | None = None) -> None:
        self._config = config
        self._supervisor = supervisor or Supervisor()
        self.stats: Mapping[str, TrackerStats] = {}

    def run(self, is_stopped: Callable[[], bool], announce: Callable[[str], None]) -> None:
        """Track all cameras, until one is told to stop or all files were read.

        Args:
            is_stopped: asked several times a second.
            announce: gets the address of the page.

        Raises:
            EdgePoseError: the model, an output or a file cannot be opened. A camera that does not
                answer is opened again and again.
        """
        config = self._config
        engine = EngineOptions(config.backend, config.device, config.precision, config.num_threads)
        with ExitStack() as opened:
            model = opened.enter_context(engine.load(config.model))
            outputs = opened.enter_context(ServiceOutputs(config, model))
            pool = opened.enter_context(self._pool(model, outputs))
            if outputs.preview is not None:
                outputs.preview.watch(pool)
                announce(outputs.preview.url)
            pool.warmup()
            for camera in config.camera:
                _add(pool, camera)
            self._supervisor.ready()
            logger.info("Started with %d cameras.", len(config.camera))
            try:
                self._watch(pool, is_stopped)
            finally:
                self._supervisor.stopping()
                pool.close(_CLOSE_S)
                self.stats = pool.stats

    def _pool(self, model: PoseModel, outputs: ServiceOutputs) -> TrackerPool:
        config = self._config
        return TrackerPool(
            model,
            on_result=outputs.on_result,
            on_frame=None if outputs.preview is None else outputs.on_frame,
            on_drop=outputs.on_drop,
            on_error=outputs.on_error,
            on_event=outputs.on_event,
            deadline_ms=config.deadline_ms,
            max_people=config.max_people,
            smoothing=config.smoothing,
            head=head_with_token(config.remote_head),
        )

    def _watch(self, pool: TrackerPool, is_stopped: Callable[[], bool]) -> None:
        """Give signs of life as long as there is progress; without one the supervisor restarts."""
        health = Health()
        health.watch(lambda: pool.stats)
        every_s = min(_SIGN_S, (self._supervisor.watchdog_s or _SIGN_S) / 3)
        due_s = 0.0
        while not is_stopped():
            if time.monotonic() >= due_s:
                due_s = time.monotonic() + every_s
                status = _status(pool.stats)
                if health.is_alive():
                    self._supervisor.alive(status)
                else:
                    logger.error("No frame was finished for too long: %s", status)
                    self._supervisor.status(status)
            if pool.wait(_LOOK_S):
                logger.info("All sources have ended.")
                return


def _add(pool: TrackerPool, camera: CameraConfig) -> None:
    live = LiveSettings(
        read_timeout_s=camera.read_timeout_s, close_timeout_s=_CLOSE_S, retry_first=True
    )
    try:
        pool.add(open_source(camera.source, live=live), camera.name)
    except SourceError as error:
        raise SourceError(f"Camera {camera.name}: {error}") from error


def _status(stats: Mapping[str, TrackerStats]) -> str:
    total = Counter[str]()
    for each in stats.values():
        total.update(frames=each.frames, poses=each.poses, dropped=sum(each.drops.values()))
    return (
        f"{len(stats)} cameras, {total['frames']} frames, {total['poses']} poses, "
        f"{total['dropped']} dropped"
    )
