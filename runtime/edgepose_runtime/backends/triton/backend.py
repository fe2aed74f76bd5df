"""The backend ``triton``."""

from __future__ import annotations

import hashlib
from pathlib import Path

from edgepose_runtime.backends.base import Backend, BackendSettings, Capabilities, require_precision
from edgepose_runtime.backends.triton.address import ServerAddress
from edgepose_runtime.backends.triton.matching import Expected
from edgepose_runtime.backends.triton.network import Listener, ServerNetwork
from edgepose_runtime.backends.triton.settings import ServerSettings
from edgepose_runtime.errors import BackendError, ConfigError, DeviceError

_PRECISIONS = ("float32",)


class TritonBackend(Backend):
    """Runs models on a server of the Open Inference Protocol v2, such as Triton.

    The device is the server's address, ``grpc://host:8001`` or ``grpcs://host:8001``. A model is
    never sent: the server must have it already, and is asked for the one with the same hash.

    Args:
        settings: credentials, deadlines and recovery.
    """

    name = "triton"

    def __init__(self, settings: ServerSettings | None = None) -> None:
        self._settings = settings or ServerSettings()

    @property
    def capabilities(self) -> Capabilities:
        """What its devices look like, and that they are elsewhere."""
        return Capabilities(("grpc://HOST:PORT", "grpcs://HOST:PORT"), _PRECISIONS, remote=True)

    def load(self, model: Path | bytes, *, settings: BackendSettings) -> ServerNetwork:
        """Connect to the server's copy of a model; see :meth:`Backend.load`.

        Raises:
            ServerError: the server is not there, or does not have the model.
        """
        require_precision(settings.device, settings.precision, _PRECISIONS)
        try:
            address = ServerAddress.parse(settings.device)
        except ConfigError as error:
            raise DeviceError(
                f"The backend triton has no device {settings.device!r} on this machine; it has "
                "grpc://HOST:PORT (grpcs for TLS): the address of a server."
            ) from error
        expected = Expected(
            name=address.model or self._settings.model,
            usual_name=_usual_name(model),
            sha256=_hash(model),
        )
        network = open_server(address, expected, self._settings, batch=settings.batch)
        try:
            network.connect()
        except BaseException:
            network.close()
            raise
        return network


def open_server(
    address: ServerAddress,
    expected: Expected,
    settings: ServerSettings,
    *,
    batch: int | None = None,
    listener: Listener | None = None,
) -> ServerNetwork:
    """Return a network that connects with its first request; see :class:`ServerNetwork`.

    Raises:
        BackendUnavailableError: ``tritonclient`` is not installed.
        ConfigError: the token would be sent in the clear, or the certificates cannot be read.
    """
    return ServerNetwork(address, expected, settings, batch=batch, listener=listener)


def _usual_name(model: Path | bytes) -> str | None:
    """Return what a graph in the folder of its bundle is called by ``edgepose serve``."""
    return None if isinstance(model, bytes) else f"{model.resolve().parent.name}-{model.stem}"


def _hash(model: Path | bytes) -> str:
    try:
        content = model if isinstance(model, bytes) else model.read_bytes()
    except OSError as error:
        raise BackendError(f"The model cannot be read: {error}.") from error
    return hashlib.sha256(content).hexdigest()
