"""What every inference backend offers: a backend loads a model, the network it returns runs it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ConfigError, DeviceError
from edgepose_runtime.tensors import Array, TensorSpec

#: What may be asked for. ``auto`` leaves it to the backend. The floating-point ones say in what
#: layers compute that are not quantised; ``int8`` is for quantised models alone.
PRECISIONS = ("auto", "float32", "float16", "bfloat16", "int8")
INT8 = "int8"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a backend can do on this machine.

    Attributes:
        devices: the devices it can run on, in lower case, such as ``("cpu", "gpu")``.
        precisions: in what it can compute on the first of them.
        dynamic_batch: it takes any number of samples at a time.
        remote: it computes on another machine.
    """

    devices: tuple[str, ...]
    precisions: tuple[str, ...]
    dynamic_batch: bool = True
    remote: bool = False


@dataclass(frozen=True, slots=True)
class BackendSettings:
    """How a model is to be run.

    Attributes:
        device: one of the backend's devices.
        precision: in what to compute, one of :data:`PRECISIONS`.
        num_threads: how many CPU threads one inference may use, None for the backend's choice.
        batch: fix the number of samples per inference, which lets some backends run faster; None
            takes any number.
        concurrency: how many inferences should run side by side, each on threads of its own.
            More than one raises throughput, not latency; a backend may run one at a time.
        cache_folder: where the backend may keep compiled models for the next start. Without it
            nothing is written anywhere.
        quantised: whether quantised layers may compute in int8. Without that they round like int8
            and compute in floating point, on CPUs; other devices and Triton take no notice.

    Raises:
        ConfigError: an option has no such value.
    """

    device: str = "cpu"
    precision: str = "auto"
    num_threads: int | None = None
    batch: int | None = None
    concurrency: int = 1
    cache_folder: Path | None = None
    quantised: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.device, str):
            raise ConfigError(f"device must be a name, such as 'cpu'; got {self.device!r}.")
        if self.precision not in PRECISIONS:
            raise ConfigError(
                f"There is no precision {self.precision!r}; choose one of {', '.join(PRECISIONS)}."
            )
        for name in ("num_threads", "batch", "concurrency"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise ConfigError(
                    f"{name} must be a whole number of at least 1, or None; got {value!r}."
                )


class Network(Closable):
    """A loaded model. Any thread may call :meth:`infer`, and several at once.

    Use it in a ``with`` statement, or close it.

    Attributes:
        inputs: the tensors it takes, by name.
        outputs: the tensors it returns, by name.
        device: the device that is really in use, in lower case.
        precision: in what it really computes, such as ``"float32"``; in a quantised model
            ``"int8+float32"``, with what the other layers compute in.
    """

    inputs: Mapping[str, TensorSpec]
    outputs: Mapping[str, TensorSpec]
    device: str
    precision: str

    @abstractmethod
    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once.

        Args:
            feeds: one array for each input, of exactly its type and shape.

        Returns:
            One array for each output; they are the caller's own.

        Raises:
            InferenceError: a name, type or shape does not fit, or the run failed.
            ClosedError: the network was closed.
        """

    @abstractmethod
    def close(self) -> None:
        """Release the model; closing twice is harmless."""


class Backend(Protocol):
    """A way to run ONNX models.

    Attributes:
        name: what users type.
    """

    name: str

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do on this machine."""

    @abstractmethod
    def load(self, model: Path | bytes, *, settings: BackendSettings) -> Network:
        """Load an ONNX model from a file or from its content.

        Raises:
            DeviceError: the device, or the precision on it, is not there.
            BackendError: the model cannot be read or run.
        """


def require_device(
    backend: str, device: str, devices: tuple[str, ...], fixes: Mapping[str, str] | None = None
) -> None:
    """Refuse a device that a backend does not have.

    Args:
        backend: its name.
        device: what was asked for.
        devices: what there is.
        fixes: what to do about devices that are missing, a sentence for each.

    Raises:
        DeviceError: it is not among ``devices``.
    """
    if device not in devices:
        fix = (fixes or {}).get(device.split(".")[0])
        raise DeviceError(
            f"The backend {backend} has no device {device!r} on this machine; it has "
            f"{', '.join(devices)}." + (f" {fix}" if fix else "")
        )


def require_precision(device: str, precision: str, precisions: tuple[str, ...]) -> None:
    """Refuse a precision in which a device cannot compute.

    Raises:
        DeviceError: it is neither ``auto`` nor among ``precisions``.
    """
    if precision != "auto" and precision not in precisions:
        raise DeviceError(
            f"The device {device!r} cannot compute in {precision}; it can in "
            f"{', '.join(precisions)}."
        )


def require_int8(network: Network, settings: BackendSettings) -> None:
    """Refuse a model that is not quantised where int8 was asked for; it is closed.

    Raises:
        DeviceError: it computes in floating point only.
    """
    if settings.precision == INT8 and INT8 not in network.precision:
        network.close()
        raise int8_error(network.precision)


def int8_error(precision: str) -> DeviceError:
    """Return the error of what computes in ``precision`` where int8 was asked for."""
    return DeviceError(
        f"The network computes in {precision}, not in int8: its model is not "
        "quantised, or the backend has no int8. Use a bundle that 'edgepose convert' "
        "quantised with the backend openvino or onnxruntime, or the precision 'auto'."
    )


def precision_in_use(floating: str, *, quantised: bool) -> str:
    """Return the precision in use, as :attr:`Network.precision` reports it."""
    return f"{INT8}+{floating}" if quantised else floating


def specs_by_name(specs: Iterable[TensorSpec], batch: int | None = None) -> dict[str, TensorSpec]:
    """Return tensors by their names, with the free dimension N set to ``batch`` if there is one."""
    return {spec.name: spec if batch is None else _fixed(spec, batch) for spec in specs}


def _fixed(spec: TensorSpec, batch: int) -> TensorSpec:
    shape = tuple(batch if dimension == "N" else dimension for dimension in spec.shape)
    return TensorSpec(spec.name, spec.dtype, shape)
