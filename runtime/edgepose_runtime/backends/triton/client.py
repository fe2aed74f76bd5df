"""One connection to a server: ``tritonclient`` with our deadlines, limits and errors."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import numpy as np

from edgepose_runtime.backends.triton.address import ServerAddress
from edgepose_runtime.backends.triton.settings import ServerSettings
from edgepose_runtime.errors import (
    BackendUnavailableError,
    ConfigError,
    ServerError,
    ServerFault,
)
from edgepose_runtime.files import read_regular
from edgepose_runtime.tensors import Array, TensorSpec

#: gRPC's codes by what they say of the server; others mean a bad request or answer.
_FAULTS = {
    "UNAVAILABLE": ServerFault.UNREACHABLE,
    "CANCELLED": ServerFault.UNREACHABLE,
    "DEADLINE_EXCEEDED": ServerFault.TIMEOUT,
    "UNAUTHENTICATED": ServerFault.REFUSED,
    "PERMISSION_DENIED": ServerFault.REFUSED,
    "NOT_FOUND": ServerFault.WRONG_MODEL,
}
_TO_NUMPY = {"FP32": "float32", "FP16": "float16", "FP64": "float64", "BOOL": "bool"}
_TO_NUMPY |= {
    f"{kind}{bits}": f"{kind.lower()}{bits}" for kind in ("INT", "UINT") for bits in (8, 16, 32, 64)
}
_FROM_NUMPY = {numpy: theirs for theirs, numpy in _TO_NUMPY.items()}


class ServerClient:
    """Calls one server. Any thread may call, several at once; each call has a deadline.

    Nothing is connected until the first call, and gRPC connects again by itself.

    Args:
        address: where the server is.
        settings: credentials and limits.

    Raises:
        BackendUnavailableError: ``tritonclient`` is not installed.
        ConfigError: the token would be sent in the clear, or the certificates cannot be read.
    """

    def __init__(self, address: ServerAddress, settings: ServerSettings) -> None:
        self._address = address
        self._package = _package()
        self._headers = _headers(address, settings)
        self._certificates = _certificates(settings)
        self._largest = settings.largest_answer
        self._lock = threading.Lock()
        self._client = self._connected()

    def models(self, timeout_s: float) -> list[str]:
        """Return the names of the models that the server has ready (an extension of Triton's)."""
        index = self._call("get_model_repository_index", timeout_s)
        return [each.name for each in index.models if each.state == "READY"]

    def parameters(self, model: str, timeout_s: float) -> dict[str, str]:
        """Return the parameters in a model's configuration; empty where the server has none.

        Configurations are an extension of Triton's, too.
        """
        try:
            config = self._call("get_model_config", timeout_s, model).config
        except ServerError as error:
            if error.fault is ServerFault.BAD_ANSWER:  # such as "not implemented"
                return {}
            raise
        return {name: each.string_value for name, each in config.parameters.items()}

    def specs(
        self, model: str, timeout_s: float
    ) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
        """Return the tensors that a model takes and returns."""
        found = self._call("get_model_metadata", timeout_s, model)
        return tuple(map(_spec, found.inputs)), tuple(map(_spec, found.outputs))

    def infer(
        self, model: str, feeds: Mapping[str, Array], timeout_s: float
    ) -> tuple[dict[str, Array], str]:
        """Run a model once; return its outputs, and the version of the model that made them."""
        inputs = [self._input(name, array) for name, array in feeds.items()]
        result = self._call("infer", timeout_s, model, inputs)
        response = result.get_response()
        try:
            for each in response.outputs:
                if each.datatype not in _TO_NUMPY:  # BYTES say their own lengths
                    raise ValueError(f"{each.name!r} is of the type {each.datatype!r}")
            outputs = {each.name: result.as_numpy(each.name) for each in response.outputs}
        except (ValueError, TypeError, OverflowError, MemoryError) as error:
            raise ServerError(
                f"{self._address} answered with bytes that are not the tensors it says: {error}.",
                ServerFault.BAD_ANSWER,
            ) from error
        return outputs, str(response.model_version)

    def reconnect(self) -> None:
        """Use a new connection from now on: a frozen server may leave a dead one.

        Calls that wait on the old one keep it until their deadline.
        """
        with self._lock:
            self._client = self._connected()

    def close(self) -> None:
        """Release the connection; calls that wait fail."""
        self._client.close()

    def _connected(self) -> Any:
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", self._largest),
            # We wait between attempts ourselves; gRPC's own waits grow to two minutes.
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 500),
            ("grpc.enable_retries", 0),
            # Trackers of one process must not share a connection that one of them gives up.
            ("grpc.use_local_subchannel_pool", 1),
        ]
        credentials = None
        if self._address.tls:
            credentials = self._package.grpc.ssl_channel_credentials(self._certificates)
        return self._package.InferenceServerClient(
            self._address.target, creds=credentials, channel_args=options
        )

    def _input(self, name: str, array: Array) -> Any:
        kind = _FROM_NUMPY.get(str(array.dtype), str(array.dtype))
        tensor = self._package.InferInput(name, list(array.shape), kind)
        tensor.set_data_from_numpy(np.ascontiguousarray(array))
        return tensor

    def _call(self, method: str, timeout_s: float, *arguments: Any) -> Any:
        call = getattr(self._client, method)
        try:
            return call(*arguments, headers=self._headers, client_timeout=max(timeout_s, 1e-3))
        except self._package.InferenceServerException as error:
            raise self._error(error) from None
        except ValueError:  # gRPC's word for a channel that was closed meanwhile
            raise ServerError(
                f"The connection to {self._address} was closed.", ServerFault.UNREACHABLE
            ) from None

    def _error(self, error: Any) -> ServerError:
        code = str(error.status()).rpartition(".")[2]
        said = str(error.message()).strip().rstrip(".")
        fault = _FAULTS.get(code, ServerFault.BAD_ANSWER)
        if code == "RESOURCE_EXHAUSTED":
            # gRPC uses one code for a message that is too large and for a server that is full.
            too_large = "larger than max" in said
            fault = ServerFault.BAD_ANSWER if too_large else ServerFault.OVERLOADED
        elif code == "UNAVAILABLE" and "model is not ready" not in said and "not found" in said:
            fault = ServerFault.WRONG_MODEL
        elif code == "UNAVAILABLE" and "exceeds maximum queue size" in said.lower():
            fault = ServerFault.OVERLOADED
        elif "does not match any of" in said or "restricted" in said or "expecting header" in said:
            fault = ServerFault.REFUSED
        return ServerError(f"{self._address} failed ({code.lower()}): {self._hidden(said)}.", fault)

    def _hidden(self, said: str) -> str:
        """Return what a server said without the token, which some repeat."""
        token = self._headers.get("authorization", "").removeprefix("Bearer ")
        return said.replace(token, "***") if token else said


def _headers(address: ServerAddress, settings: ServerSettings) -> dict[str, str]:
    if settings.token is None:
        return {}
    if not (address.tls or address.is_loopback):
        raise ConfigError(
            f"The token for {address} would be sent in the clear; use grpcs:// to encrypt it."
        )
    if not settings.token.isascii() or not settings.token.isprintable() or not settings.token:
        raise ConfigError("A token must be of printable ASCII characters.")
    bearer = f"Bearer {settings.token}"
    # A proxy looks at the first; Triton's --grpc-restricted-protocol at the second.
    return {"authorization": bearer, "triton-grpc-protocol-authorization": bearer}


def _certificates(settings: ServerSettings) -> bytes | None:
    if settings.root_certificates is None:
        return None
    try:
        return read_regular(settings.root_certificates)
    except OSError as error:
        raise ConfigError(
            f"The certificates {settings.root_certificates} cannot be read: {error}."
        ) from error


def _spec(tensor: Any) -> TensorSpec:
    shape = tuple(
        int(size) if size >= 0 else ("N" if axis == 0 else f"D{axis}")
        for axis, size in enumerate(tensor.shape)
    )
    return TensorSpec(tensor.name, _TO_NUMPY.get(tensor.datatype, tensor.datatype.lower()), shape)


class _Package:
    """What we use of gRPC and ``tritonclient``."""

    def __init__(self) -> None:
        import grpc
        import tritonclient.grpc as triton
        from tritonclient.utils import InferenceServerException

        self.grpc = grpc
        self.InferenceServerClient = triton.InferenceServerClient
        self.InferInput = triton.InferInput
        self.InferenceServerException = InferenceServerException


def _package() -> _Package:
    try:
        return _Package()
    except ImportError as error:
        raise BackendUnavailableError(
            "The backend triton needs the package tritonclient; install it with "
            "'pip install \"edgepose[server]\"'."
        ) from error
