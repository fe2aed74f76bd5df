"""OpenVINO: Intel and ARM CPUs, Intel GPUs and NPUs."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

from edgepose_runtime.backends import openvino_int8
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
from edgepose_runtime.backends.onnx_checks import LARGEST_TENSOR, read_checked
from edgepose_runtime.backends.openvino_cache import CompiledModels
from edgepose_runtime.errors import (
    BackendError,
    BackendUnavailableError,
    ClosedError,
    DeviceError,
    InferenceError,
)
from edgepose_runtime.files import hash_files
from edgepose_runtime.native.unwinding import mixes_unwinding
from edgepose_runtime.telemetry import no_telemetry
from edgepose_runtime.tensors import Array, TensorSpec, check_feeds

# OpenVINO's names of what edgepose calls a precision; a device lists the first, a hint the second.
_CAPABILITY = {"float32": "FP32", "float16": "FP16", "bfloat16": "BF16", INT8: "INT8"}
_HINT = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_PRECISION = {hint: precision for precision, hint in _HINT.items()}
_NVIDIA = "NVIDIA's GPUs are used by the backend onnxruntime, as device 'cuda' or 'tensorrt'."
_FIXES = {
    "gpu": "An Intel GPU is found where its compute runtime is installed (Debian, Ubuntu: "
    "intel-opencl-icd) and the user may open /dev/dri/renderD* (group render). " + _NVIDIA,
    "npu": "An Intel NPU is found where its driver is installed (intel/linux-npu-driver) and the "
    "user may open /dev/accel/accel0 (group render).",
    "cuda": _NVIDIA,
    "tensorrt": _NVIDIA,
}
#: Without them quantised layers round as they should and compute in floating point.
_LOW_PRECISION = "LP_TRANSFORMS_MODE"
#: How the layers that do most of the work are called in a compiled model, and int8 there.
_HEAVY = frozenset({"Convolution", "Deconvolution", "FullyConnected", "MatMul"})
_INT8_TYPES = frozenset({"i8", "u8"})
_CORE_LOCK = Lock()


class OpenVinoBackend(Backend):
    """Runs models with OpenVINO, tuned for the latency of single inferences.

    With precision ``auto`` a CPU that can computes in bfloat16, which moves joints by fractions of
    a pixel; ``float32`` agrees with the other backends. The quantised layers of a model compute in
    int8 whatever the precision is, and what a network reports is read from the compiled model.
    """

    name = "openvino"

    @property
    def capabilities(self) -> Capabilities:
        """The devices that OpenVINO finds, and in what the first of them computes."""
        devices = _devices()
        return Capabilities(tuple(devices), _precisions(next(iter(devices.values()))))

    def load(self, model: Path | bytes, *, settings: BackendSettings) -> Network:
        """Compile a model for the device; see :meth:`Backend.load`."""
        devices = _devices()
        require_device(self.name, settings.device, tuple(devices), _FIXES)
        device = devices[settings.device]
        require_precision(settings.device, settings.precision, _precisions(device))
        try:
            network = OpenVinoNetwork(_compiled(model, device, settings))
        except RuntimeError as error:
            raise BackendError(f"OpenVINO cannot run the model {_named(model)}: {error}") from error
        if network.device != settings.device:
            raise DeviceError(
                f"OpenVINO runs the model on {network.device!r} instead of {settings.device!r}."
            )
        require_int8(network, settings)
        return network


class OpenVinoNetwork(Network):
    """A compiled model with as many inference requests as threads have used it at once.

    Any thread may call :meth:`infer`; each call borrows a request of its own, so that calls do not
    wait for each other in Python. The device still works one inference at a time.
    """

    def __init__(self, compiled: Any) -> None:
        self._compiled = compiled
        self._idle: list[Any] = [compiled.create_infer_request()]
        self._lock = Lock()
        self.inputs = specs_by_name(map(_spec, compiled.inputs))
        self.outputs = specs_by_name(map(_spec, compiled.outputs))
        self.device = ",".join(compiled.get_property("EXECUTION_DEVICES")).lower()
        hint = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
        self.precision = precision_in_use(
            _PRECISION.get(hint, hint), quantised=_computes_in_int8(compiled)
        )

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once; see :meth:`Network.infer`."""
        request = self._borrow()
        try:
            check_feeds(self.inputs, feeds)
            results = request.infer(dict(feeds), share_inputs=True)
        except RuntimeError as error:
            raise InferenceError(f"OpenVINO failed to run the model: {error}") from error
        finally:
            with self._lock:
                if self._compiled is not None:
                    self._idle.append(request)
        return dict(zip(self.outputs, results.values(), strict=True))

    def close(self) -> None:
        """Release the model; see :meth:`Network.close`."""
        with self._lock:
            self._compiled = None
            self._idle.clear()

    def _borrow(self) -> Any:
        with self._lock:
            if self._compiled is None:
                raise ClosedError("The network was closed and cannot infer any more.")
            return self._idle.pop() if self._idle else self._compiled.create_infer_request()


def _core() -> Any:
    """Return the one core of the process: it holds plugins that are slow to load."""
    with _CORE_LOCK:  # the cache alone would let several threads make one each
        return _new_core()


@cache
def _new_core() -> Any:
    if "openvino" not in sys.modules and mixes_unwinding():
        raise BackendUnavailableError(
            "OpenVINO would crash in this process: NumPy was imported first, then GStreamer (Gst) "
            "with libunwind, and edgepose last. Import edgepose before Gst, or set the variable "
            "LD_PRELOAD=libgcc_s.so.1; the backend 'onnxruntime' works as it is."
        )
    try:
        with no_telemetry():
            import openvino
    except ImportError as error:
        raise BackendUnavailableError(
            "The backend openvino needs the package openvino; install it with "
            "'pip install openvino'."
        ) from error
    # The first call fills a table. Of two at once, one waits for it with the GIL that the other
    # needs, and the process hangs.
    openvino.Type.f32.to_dtype()
    return openvino.Core()


def _devices() -> dict[str, str]:
    """Return OpenVINO's devices by our names; ``gpu`` is the first of several."""
    devices: dict[str, str] = {}
    for device in _available(_core()):
        devices.setdefault(device.split(".")[0].lower(), device)
        devices[device.lower()] = device
    return devices


@cache
def _available(core: Any) -> tuple[str, ...]:
    return tuple(core.available_devices)  # it loads every plugin to ask it


def _precisions(device: str) -> tuple[str, ...]:
    found = _core().get_property(device, "OPTIMIZATION_CAPABILITIES")
    return tuple(name for name, capability in _CAPABILITY.items() if capability in found)


def _compiled(model: Path | bytes, device: str, settings: BackendSettings) -> Any:
    if isinstance(model, Path) and model.suffix == ".tflite":
        # One of the networks to compare with; no bundle has any.
        return _compile(_core().read_model(model), device, settings)
    # As bytes: no path that OpenVINO cannot open, no other file beside the model.
    content = read_checked(model)

    def compile_model() -> Any:
        return _compile(_core().read_model(content), device, settings)

    # OpenVINO's own cache, for other devices, reads and changes the graph before it looks.
    if settings.cache_folder is None or device != "CPU":
        return compile_model()
    models = CompiledModels(_core(), settings.cache_folder / "openvino")
    variant = f"{settings.batch} {_changes_hash()}"
    return models.load(content, device, _options(device, settings), variant, compile_model)


@cache
def _changes_hash() -> str:
    """Return a hash of the code that changes graphs before they are compiled."""
    return hash_files(__file__, openvino_int8.__file__)


def _compile(graph: Any, device: str, settings: BackendSettings) -> Any:
    _refuse_huge_tensors(graph)
    if openvino_int8.gains_from_unsigned_steps():
        openvino_int8.use_unsigned_steps(graph)
    if settings.batch is not None:
        shapes = {port: [settings.batch, *port.partial_shape[1:]] for port in graph.inputs}
        graph.reshape(shapes)
    return _core().compile_model(graph, device, _options(device, settings))


def _refuse_huge_tensors(graph: Any) -> None:
    """Refuse sizes that a graph computes, before compiling allocates them."""
    for node in graph.get_ordered_ops():
        for port in node.outputs():
            shape = port.partial_shape
            elements = math.prod(side.get_length() for side in shape) if shape.is_static else 0
            if elements > LARGEST_TENSOR:
                raise BackendError(
                    f"The model's layer {node.friendly_name!r} makes a tensor of {elements:.3g} "
                    f"elements; {LARGEST_TENSOR:.3g} are the most that edgepose runs."
                )


def _options(device: str, settings: BackendSettings) -> dict[str, Any]:
    options: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY"}
    if settings.concurrency > 1 and device == "CPU":
        options["NUM_STREAMS"] = settings.concurrency
    if settings.precision in _HINT:
        options["INFERENCE_PRECISION_HINT"] = _HINT[settings.precision]
    if device == "CPU":
        # We are a guest in a program with work of its own: a pinned thread would wait for a busy
        # core while others are idle.
        options["ENABLE_CPU_PINNING"] = False
        if not settings.quantised:
            options[_LOW_PRECISION] = False
        if settings.num_threads is not None:
            options["INFERENCE_NUM_THREADS"] = settings.num_threads * settings.concurrency
    elif settings.cache_folder is not None:
        options["CACHE_DIR"] = str(settings.cache_folder)
    return options


def _computes_in_int8(compiled: Any) -> bool:
    """Whether a layer that matters does: quantised layers that no kernel suits run in float."""
    try:
        layers = [layer.get_rt_info() for layer in compiled.get_runtime_model().get_ops()]
    except RuntimeError:  # a device that does not show what it made of the model
        return False
    types = (
        _text(layer, "runtimePrecision") for layer in layers if _text(layer, "layerType") in _HEAVY
    )
    return not _INT8_TYPES.isdisjoint(types)


def _text(facts: Any, name: str) -> str:
    return str(facts[name].astype(str)) if name in facts else ""


def _spec(port: Any) -> TensorSpec:
    shape = tuple(
        dimension.get_length() if dimension.is_static else ("N" if axis == 0 else f"D{axis}")
        for axis, dimension in enumerate(port.partial_shape)
    )
    return TensorSpec(_name(port), port.element_type.to_dtype().name, shape)


def _name(port: Any) -> str:
    """Return the graph's own name of an input or output.

    An input that some operator does nothing to also has the name of that operator's output.
    """
    own: str = port.node.friendly_name
    return own if own in port.names else str(port.any_name)


def _named(model: Path | bytes) -> str:
    return "given as bytes" if isinstance(model, bytes) else str(model)
