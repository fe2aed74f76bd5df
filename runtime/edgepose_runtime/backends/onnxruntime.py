"""ONNX Runtime: CPUs, and whatever execution providers its package brings along."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from edgepose_runtime.backends.base import (
    INT8,
    Backend,
    BackendSettings,
    Capabilities,
    Network,
    precision_in_use,
    require_device,
    require_int8,
    require_precision,
    specs_by_name,
)
from edgepose_runtime.backends.onnx_checks import read_checked
from edgepose_runtime.backends.tensorrt import engine_folder, tensorrt_options
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
_DEVICES = {provider: device for device, provider in _PROVIDERS.items()}
_GPU_PACKAGE = (
    "Install the package with NVIDIA's devices in place of the plain one: "
    "'pip uninstall onnxruntime', then 'pip install onnxruntime-gpu' (on a Jetson: docs/jetson.md)"
)
_FIXES = {
    "cuda": f"{_GPU_PACKAGE}.",
    "tensorrt": f"{_GPU_PACKAGE}; TensorRT comes with JetPack, elsewhere by "
    "'pip install tensorrt'.",
    "gpu": "NVIDIA's GPUs are its devices 'cuda' and 'tensorrt'; Intel's are used by the backend "
    "openvino.",
    "npu": "Intel's NPUs are used by the backend openvino.",
    "coreml": "It is in the package onnxruntime for macOS.",
    "directml": "It is in the package onnxruntime-directml for Windows.",
}
_DTYPES = {"float": "float32", "double": "float64"}
#: TensorRT builds engines in a shorter precision; the others compute as the model is written.
_PRECISIONS = {"tensorrt": ("float32", "float16", "bfloat16", INT8)}
_AS_WRITTEN = ("float32", INT8)
_LOG_ERRORS = 3  # warnings about a provider that fell back are said by an exception of ours
_NO_INT8 = "session.disable_quant_qdq"
_RECORD_DEVICES = "session.record_ep_graph_assignment_info"


class OnnxRuntimeBackend(Backend):
    """Runs models with ONNX Runtime.

    TensorRT computes in float32 unless a shorter precision is asked for, and keeps its engines in
    the settings' cache folder; layers that it cannot run go to CUDA.
    """

    name = "onnxruntime"

    @property
    def capabilities(self) -> Capabilities:
        """The devices whose execution providers are installed."""
        devices = tuple(_devices())
        return Capabilities(devices, _precisions(devices[0]))

    def load(self, model: Path | bytes, *, settings: BackendSettings) -> Network:
        """Start a session on the device; see :meth:`Backend.load`."""
        devices = _devices()
        require_device(self.name, settings.device, tuple(devices), _FIXES)
        require_precision(settings.device, settings.precision, _precisions(settings.device))
        quantised = settings.quantised and is_quantised(model)
        network = OnnxRuntimeNetwork(_session(model, settings), settings, quantised=quantised)
        require_int8(network, settings)
        return network


class OnnxRuntimeNetwork(Network):
    """A session. Any thread may call :meth:`infer`: sessions run from several threads at once."""

    def __init__(self, session: Any, settings: BackendSettings, *, quantised: bool) -> None:
        self._session = session
        self.inputs = specs_by_name(map(_spec, session.get_inputs()), settings.batch)
        self.outputs = specs_by_name(map(_spec, session.get_outputs()), settings.batch)
        self.device = _device_in_use(session, settings.device)
        floating = "float32" if settings.precision in ("auto", INT8) else settings.precision
        self.precision = precision_in_use(floating, quantised=quantised)

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
        """Release the session; see :meth:`Network.close`."""
        self._session = None


def _package() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendUnavailableError(
            "The backend onnxruntime needs the package onnxruntime; install it with "
            "'pip install \"edgepose[onnxruntime]\"'."
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


def _precisions(device: str) -> tuple[str, ...]:
    return _PRECISIONS.get(device, _AS_WRITTEN)


def is_quantised(model: Path | bytes) -> bool:
    """Return whether activations are quantised in an ONNX model: whether a node does that."""
    content = model if isinstance(model, bytes) else model.read_bytes()
    return b"\x22\x0eQuantizeLinear" in content  # protobuf's field 4 of a node, its operator


def _session(model: Path | bytes, settings: BackendSettings) -> Any:
    package = _package()
    options = package.SessionOptions()
    options.log_severity_level = _LOG_ERRORS
    options.add_session_config_entry(_RECORD_DEVICES, "1")
    if not settings.quantised:
        options.add_session_config_entry(_NO_INT8, "1")
    if settings.num_threads is not None:
        options.intra_op_num_threads = settings.num_threads
    if settings.batch is not None:
        options.add_free_dimension_override_by_name("N", settings.batch)
    try:
        return package.InferenceSession(
            read_checked(model), options, providers=_providers(model, settings)
        )
    except _errors() as error:
        named = "given as bytes" if isinstance(model, bytes) else str(model)
        raise BackendError(f"ONNX Runtime cannot run the model {named}: {error}") from error


def _providers(model: Path | bytes, settings: BackendSettings) -> list[tuple[str, dict[str, str]]]:
    """Return the device's execution provider, and for TensorRT the one that it stands on."""
    # CUDA computes float32 convolutions in the shorter TF32 unless told otherwise.
    cuda = (_PROVIDERS["cuda"], {"use_tf32": "0"})
    if settings.device == "cuda":
        return [cuda]
    if settings.device != "tensorrt":
        return [(_PROVIDERS[settings.device], {})]
    folder = engine_folder(model, settings, _package().__version__)
    options = tensorrt_options(settings.precision, folder, quantised=is_quantised(model))
    return [(_PROVIDERS["tensorrt"], options), cuda]


def _device_in_use(session: Any, asked: str) -> str:
    """Return the devices that layers were given to, the one asked for first.

    Raises:
        DeviceError: it was given none, or its provider did not start: that is replaced by the CPU
            with no more than a warning.
    """
    providers = [session.get_providers()[0]]
    if hasattr(session, "get_provider_graph_assignment_info"):  # since 1.23
        graphs = session.get_provider_graph_assignment_info()
        providers = [graph.ep_name for graph in graphs] or providers
    devices = {_DEVICES.get(provider, provider) for provider in providers}
    if asked not in devices or session.get_providers()[0] != _PROVIDERS[asked]:
        raise DeviceError(
            f"ONNX Runtime could not start on {asked!r} and would have used "
            f"{', '.join(sorted(devices))} instead. {_FIXES.get(asked, '')}".rstrip()
        )
    return "+".join([asked, *sorted(devices - {asked})])


def _spec(node: Any) -> TensorSpec:
    dtype = node.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(f"D{axis}" if size is None else size for axis, size in enumerate(node.shape))
    return TensorSpec(node.name, _DTYPES.get(dtype, dtype), shape)
