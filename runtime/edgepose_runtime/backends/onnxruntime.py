"""ONNX Runtime: CPUs, and whatever execution providers its package brings along."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edgepose_runtime.backends.base import (
    Backend,
    BackendSettings,
    Capabilities,
    Network,
    require_device,
    require_precision,
    specs_by_name,
)
from edgepose_runtime.errors import (
    BackendError,
    BackendUnavailableError,
    ClosedError,
    DeviceError,
    InferenceError,
)
from edgepose_runtime.tensors import Array, TensorSpec, check_feeds

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "directml": "DmlExecutionProvider",
}
# CUDA computes float32 convolutions in the shorter TF32 unless told otherwise.
_PROVIDER_OPTIONS = {"cuda": {"use_tf32": "0"}}
_DTYPES = {"float": "float32", "double": "float64"}
_PRECISIONS = ("float32",)
_LOG_ERRORS = 3  # warnings about a provider that fell back are said by an exception of ours


class OnnxRuntimeBackend(Backend):
    """Runs models with ONNX Runtime, in the precision that they are written in."""

    name = "onnxruntime"

    @property
    def capabilities(self) -> Capabilities:
        """The devices whose execution providers are installed."""
        return Capabilities(tuple(_devices()), _PRECISIONS)

    def load(self, model: Path | bytes, *, settings: BackendSettings) -> Network:
        """Start a session on the device; see :meth:`Backend.load`."""
        devices = _devices()
        require_device(self.name, settings.device, tuple(devices))
        require_precision(settings.device, settings.precision, _PRECISIONS)
        session = _session(model, settings)
        # A provider that fails to start is replaced by the CPU with no more than a warning.
        if session.get_providers()[0] != devices[settings.device]:
            raise DeviceError(
                f"ONNX Runtime could not start on {settings.device!r} and would have used "
                f"{session.get_providers()[0]} instead."
            )
        return OnnxRuntimeNetwork(session, settings)


class OnnxRuntimeNetwork(Network):
    """A session. Any thread may call :meth:`infer`: sessions run from several threads at once."""

    def __init__(self, session: Any, settings: BackendSettings) -> None:
        self._session = session
        self.inputs = specs_by_name(map(_spec, session.get_inputs()), settings.batch)
        self.outputs = specs_by_name(map(_spec, session.get_outputs()), settings.batch)
        self.device = settings.device
        self.precision = "float32"

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once; see :meth:`Network.infer`."""
        session = self._session
        if session is None:
            raise ClosedError("The network was closed and cannot infer any more.")
        check_feeds(self.inputs, feeds)
        names = list(self.outputs)
        try:
            return dict(zip(names, session.run(names, dict(feeds)), strict=True))
        except _errors() as error:
            raise InferenceError(f"ONNX Runtime failed to run the model: {error}") from error

    def close(self) -> None:
        """Let go of the session; see :meth:`Network.close`."""
        self._session = None


def _package() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailableError(
            "The backend onnxruntime needs the package onnxruntime; install it with "
            "'pip install edgepose[onnxruntime]'."
        ) from error
    return onnxruntime


@cache
def _errors() -> tuple[type[Exception], ...]:
    """Return ONNX Runtime's error classes, which have no ancestor of their own."""
    state = _package().capi.onnxruntime_pybind11_state
    found = (value for value in vars(state).values() if isinstance(value, type))
    return tuple(value for value in found if issubclass(value, Exception))


def _devices() -> dict[str, str]:
    installed = _package().get_available_providers()
    return {name: provider for name, provider in _PROVIDERS.items() if provider in installed}


def _session(model: Path | bytes, settings: BackendSettings) -> Any:
    package = _package()
    options = package.SessionOptions()
    options.log_severity_level = _LOG_ERRORS
    if settings.num_threads is not None:
        options.intra_op_num_threads = settings.num_threads
    if settings.batch is not None:
        options.add_free_dimension_override_by_name("N", settings.batch)
    provider = (_PROVIDERS[settings.device], _PROVIDER_OPTIONS.get(settings.device, {}))
    source = model if isinstance(model, bytes) else str(model)
    try:
        return package.InferenceSession(source, options, providers=[provider])
    except _errors() as error:
        named = "given as bytes" if isinstance(model, bytes) else str(model)
        raise BackendError(f"ONNX Runtime cannot run the model {named}: {error}") from error


def _spec(node: Any) -> TensorSpec:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(f"D{axis}" if size is None else size for axis, size in enumerate(node.shape))
    return TensorSpec(node.name, _DTYPES.get(dtype, dtype), shape)
