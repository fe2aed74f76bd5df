"""What a service consists of: the tables of its configuration file."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from edgepose.inference.model import DEFAULT_MODEL
from edgepose_runtime.checks import is_finite_number, require_whole
from edgepose_runtime.errors import ConfigError

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_TOPIC = re.compile(r"[^+#\0]{1,200}")


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """A table ``[[camera]]``.

    Attributes:
        name: in files, topics and metrics: letters, digits, ``_``, ``.`` and ``-``.
        source: address, device or path, as for ``edgepose track``.
        read_timeout_s: how long the next frame may take before the camera counts as lost.

    Raises:
        ConfigError: a value cannot be used.
    """

    name: str
    source: str = field(repr=False)
    read_timeout_s: float = 5.0

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(
                "The option 'name' of a camera must be letters, digits, '_', '.' and '-', as it is "
                f"part of file names and topics; got {self.name!r}."
            )
        if not self.source:
            raise ConfigError(f"The option 'source' of camera {self.name} is empty.")
        if self.read_timeout_s <= 0:
            raise ConfigError(
                f"The option 'read_timeout_s' must be above 0; got {self.read_timeout_s}."
            )


@dataclass(frozen=True, slots=True)
class JsonlConfig:
    """The table ``[jsonl]``: JSON Lines files, a series for each camera.

    Attributes:
        folder: of the files, which are named after camera and time.
        max_megabytes: a file that is this large is followed by the next.
        max_minutes: so is one that is this old.
        keep_files: of each camera; older ones are deleted. 0 for all.

    Raises:
        ConfigError: a value cannot be used.
    """

    folder: str
    max_megabytes: float = 100.0
    max_minutes: float = 60.0
    keep_files: int = 0

    def __post_init__(self) -> None:
        require_whole(self, ("keep_files",), 0)
        for name in ("max_megabytes", "max_minutes"):
            value = getattr(self, name)
            if not (is_finite_number(value) and value > 0):
                raise ConfigError(f"The option {name!r} must be above 0; got {value}.")


@dataclass(frozen=True, slots=True)
class MqttConfig:
    """The table ``[mqtt]``: an MQTT broker.

    Attributes:
        host: of the broker.
        port: of the broker.
        topic: what all topics begin with.
        username: for the broker.
        password: for the broker; best ``"${NAME}"``, from the environment.
        tls: whether the connection is encrypted, with the system's certificates.
        ca_file: certificates of the broker's authority instead of those.
        results: whether each result is published; events always are.

    Raises:
        ConfigError: a value cannot be used.
    """

    host: str
    port: int = 1883
    topic: str = "edgepose"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None
    results: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.port < 65536:
            raise ConfigError(f"The option 'port' must be from 1 to 65535; got {self.port}.")
        if not _TOPIC.fullmatch(self.topic) or "//" in f"/{self.topic}/":
            raise ConfigError(
                "The option 'topic' must be a topic without '+', '#' and empty parts; got "
                f"{self.topic!r}."
            )
        if self.ca_file is not None and not self.tls:
            raise ConfigError("The option 'ca_file' needs tls = true.")


@dataclass(frozen=True, slots=True)
class PreviewConfig:
    """The table ``[preview]``: the page, ``/metrics`` and ``/livez``.

    Attributes:
        address: ``HOST:PORT``.
        token_file: file with the token; without it the variables of the preview are read.
        max_fps: pictures per second of each camera, at most.
        max_width: width of pictures in pixels, at most.
        allowed_hosts: further names of this machine.
        tls_cert: PEM file, for HTTPS.
        tls_key: PEM file of its key.
    """

    address: str = ""
    token_file: str | None = None
    max_fps: float = 15.0
    max_width: int = 960
    allowed_hosts: tuple[str, ...] = ()
    tls_cert: str | None = None
    tls_key: str | None = None


@dataclass(frozen=True, slots=True)
class ServiceConfig:
    """A configuration file.

    Attributes:
        camera: at least one, with names of their own.
        model: name or folder of a bundle.
        backend: see :class:`~edgepose.options.EngineOptions`, like ``device``, ``precision`` and
            ``num_threads``.
        deadline_ms: from a frame's arrival to its pose; ``None`` for as long as it takes.
        max_people: number of people, or ``"all"``.
        smoothing: whether joints are smoothed in time.
        remote_head: address of a server with a heavy head; its token is in ``EDGEPOSE_HEAD_TOKEN``.
        jsonl: files; ``None`` for none.
        mqtt: a broker; ``None`` for none.
        preview: the page; ``None`` for none.

    Raises:
        ConfigError: a value cannot be used.
    """

    camera: tuple[CameraConfig, ...] = ()
    model: str = DEFAULT_MODEL
    backend: str | None = None
    device: str | None = None
    precision: str | None = None
    num_threads: int | None = None
    deadline_ms: float | None = None
    max_people: int | Literal["all"] = 1
    smoothing: bool = True
    remote_head: str | None = None
    jsonl: JsonlConfig | None = None
    mqtt: MqttConfig | None = None
    preview: PreviewConfig | None = None

    def __post_init__(self) -> None:
        if not self.camera:
            raise ConfigError("There is no camera; add a table [[camera]] with name and source.")
        names = [camera.name for camera in self.camera]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"Two cameras have the name {twice!r}; give each its own.")
