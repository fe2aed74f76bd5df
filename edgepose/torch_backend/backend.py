"""The backend ``torch``; loaded when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from edgepose_runtime.backends.base import (
    Backend,
    BackendSettings,
    Capabilities,
    Network,
    require_device,
    require_int8,
    require_precision,
    specs_by_name,
)
from edgepose_runtime.errors import BackendUnavailableError, ClosedError, InferenceError
from edgepose_runtime.tensors import Array, check_feeds

_FIXES = {
    "cuda": "It is there where a build of PyTorch with CUDA is installed (pytorch.org) and "
    "'nvidia-smi' shows a GPU.",
    "tensorrt": "NVIDIA's GPUs are its device 'cuda'; TensorRT is a device of the backend "
    "onnxruntime.",
}
# Quantised layers are computed as their floating-point approximation: int8 is not among these.
_PRECISIONS = {"cpu": ("float32", "bfloat16"), "cuda": ("float32", "bfloat16", "float16")}


class TorchBackend(Backend):
    """Runs models with PyTorch.

    The precisions below float32 are torch's autocast: convolutions and products are computed in
    them, the rest in float32. A number of threads holds for all of the process, as torch has it.
    """

    name = "torch"

    @property
    def capabilities(self) -> Capabilities:
        """The devices that torch finds."""
        return Capabilities(_devices(), _PRECISIONS["cpu"])

    def load(self, model: Path | bytes, *, settings: BackendSettings) -> Network:
        """Bring a graph's weights to the device; see :meth:`Backend.load`."""
        require_device(self.name, settings.device, _devices(), _FIXES)
        precisions = _PRECISIONS[settings.device]
        if settings.precision != "int8":  # said better below
            require_precision(settings.device, settings.precision, precisions)
        network = TorchNetwork(model, settings)
        require_int8(network, settings)
        return network


class TorchNetwork(Network):
    """A graph on a device. Any thread may call :meth:`infer`, several at once."""

    def __init__(self, model: Path | bytes, settings: BackendSettings) -> None:
        from edgepose.torch_backend.graph import Graph

        torch = _package()
        self._graph: Graph | None = Graph.read(model, torch.device(settings.device))
        if settings.num_threads is not None:
            torch.set_num_threads(settings.num_threads)
        self.inputs = specs_by_name(self._graph.inputs, settings.batch)
        self.outputs = specs_by_name(self._graph.outputs, settings.batch)
        self.device = settings.device
        self.precision = "float32"
        if settings.precision in _PRECISIONS["cuda"]:
            self.precision = settings.precision

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once; see :meth:`Network.infer`."""
        graph = self._graph
        if graph is None:
            raise ClosedError("The network was closed and cannot infer any more.")
        check_feeds(self.inputs, feeds)
        try:
            return graph.run(feeds, self.precision)
        except (RuntimeError, TypeError, IndexError) as error:  # what torch's functions raise
            raise InferenceError(f"PyTorch failed to run the model: {error}") from error

    def close(self) -> None:
        """Let go of the weights; see :meth:`Network.close`."""
        self._graph = None


def _devices() -> tuple[str, ...]:
    return ("cpu", "cuda") if _package().cuda.is_available() else ("cpu",)


def _package() -> Any:
    try:
        import_module("onnx")
        return import_module("torch")
    except ImportError as error:
        raise BackendUnavailableError(
            "The backend torch needs the packages torch and onnx; install them with "
            "'pip install edgepose[convert]'."
        ) from error
