"""Where the results of a service go: files, a broker, the page."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from edgepose.inference.model import PoseModel
from edgepose.people.settings import people_settings
from edgepose.preview import Preview, PreviewSettings
from edgepose.preview.settings import parse_address, read_token, token_from
from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose.service.config import JsonlConfig, PreviewConfig, ServiceConfig
from edgepose.service.mqtt import MqttSink
from edgepose.service.rotation import RotatingJsonl
from edgepose.sinks import JsonlSink
from edgepose.tracking.frame import Image
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import OutputError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.redaction import redact

logger = logging.getLogger("edgepose")

#: Seconds between two lines of the log about the same trouble.
QUIET_S = 30.0


class ServiceOutputs(Closable):
    """The callbacks of a pool, which hand everything to each output.

    Args:
        config: which outputs there are.
        model: named in the header of files.

    Attributes:
        preview: the page, or ``None``.

    Raises:
        ConfigError: the page's address or a certificate cannot be used.
        OutputError: the folder of the files cannot be made.
        BackendUnavailableError: a package of an output is missing.
    """

    def __init__(self, config: ServiceConfig, model: PoseModel) -> None:
        self.preview: Preview | None = None
        self._files: dict[str, RotatingJsonl] = {}
        self._mqtt: MqttSink | None = None
        self._log = QuietLog()
        with ExitStack() as opened:
            if config.jsonl is not None:
                self._files = _files(config, config.jsonl, model)
            if config.preview is not None:
                self.preview = opened.enter_context(Preview(preview_settings(config.preview)))
            if config.mqtt is not None:
                self._mqtt = opened.enter_context(MqttSink(config.mqtt))
            self._opened = opened.pop_all()

    def on_frame(self, camera: str, frame: Image, result: PoseResult) -> None:
        """Show a result on its frame; for a pool with a preview."""
        if self.preview is not None:
            self.preview.write(frame, result, camera)

    def on_result(self, camera: str, result: PoseResult) -> None:
        """Write and publish a result."""
        if camera in self._files:
            try:
                self._files[camera].write(result)
            except OutputError as error:
                self._log.error(camera, str(error))
        if self._mqtt is not None:
            self._mqtt.on_result(camera, result)

    def on_drop(self, camera: str, drop: FrameDrop) -> None:
        """Count a frame that was dropped."""
        if self.preview is not None:
            self.preview.on_drop(camera, drop)

    def on_error(self, camera: str, failure: TrackingFailure) -> None:
        """Log an error, not ever again the same one."""
        self._log.error(camera, str(failure.error))
        if self.preview is not None:
            self.preview.count_error(camera, failure)

    def on_event(self, camera: str, event: StreamEvent) -> None:
        """Log, show and publish an event."""
        level = logging.WARNING if event.kind is EventKind.LOST else logging.INFO
        logger.log(level, "%s: %s. %s", camera, event.kind, event.detail)
        if self.preview is not None:
            self.preview.on_event(camera, event)
        if self._mqtt is not None:
            self._mqtt.on_event(camera, event)

    def close(self) -> None:
        """Finish all files, end the page, and tell the broker."""
        for camera, files in self._files.items():
            try:
                files.close()
            except OutputError as error:
                self._log.error(camera, str(error))
        self._opened.close()


class QuietLog:
    """Logs an error once in a while, and how often it happened in between.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._said: dict[str, tuple[str, float, int]] = {}

    def error(self, camera: str, sentence: str) -> None:
        """Log an error of a camera, unless the same one was logged a moment ago."""
        sentence, now_s = redact(sentence), self._clock()
        last, said_s, times = self._said.get(camera, ("", 0.0, 0))
        if sentence == last and now_s - said_s < QUIET_S:
            self._said[camera] = (last, said_s, times + 1)
            return
        more = f" ({times} more times)" if sentence == last and times else ""
        logger.error("%s: %s%s", camera, sentence, more)
        self._said[camera] = (sentence, now_s, 0)


def preview_settings(config: PreviewConfig) -> PreviewSettings:
    """Return the settings of the page.

    Raises:
        ConfigError: the address is none, needs a token, or the token cannot be read.
    """
    host, port = parse_address(config.address)
    token = token_from() if config.token_file is None else read_token(config.token_file)
    return PreviewSettings(
        host=host,
        port=port,
        token=token,
        max_fps=config.max_fps,
        max_width=config.max_width,
        allowed_hosts=config.allowed_hosts,
        tls_cert=config.tls_cert,
        tls_key=config.tls_key,
    )


def _files(config: ServiceConfig, jsonl: JsonlConfig, model: PoseModel) -> dict[str, RotatingJsonl]:
    several = people_settings(config.max_people) is not None

    def opener(camera: str) -> Callable[[Path], JsonlSink]:
        return lambda path: JsonlSink(
            path,
            skeleton=model.skeleton,
            model=model.name,
            source=camera,
            engine={"device": model.device, "precision": model.precision},
            several=several,
        )

    return {
        camera.name: RotatingJsonl(jsonl, camera.name, opener(camera.name))
        for camera in config.camera
    }
