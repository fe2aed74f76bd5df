"""A backend for tests: networks are plain functions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from edgepose_runtime.backends.base import (
    Backend,
    BackendSettings,
    Capabilities,
    Network,
    require_device,
    require_precision,
    specs_by_name,
)
from edgepose_runtime.errors import ClosedError
from edgepose_runtime.tensors import Array, TensorSpec, check_feeds

Function = Callable[[Mapping[str, Array]], Mapping[str, Array]]


class FakeBackend(Backend):
    """Loads any model as the same function of the feeds.

    Args:
        function: takes the feeds, returns the outputs; what it raises reaches the caller.
        inputs: the tensors it takes.
        outputs: the tensors it returns.
        capabilities: what to pretend.
    """

    name = "fake"

    def __init__(
        self,
        function: Function,
        inputs: Iterable[TensorSpec],
        outputs: Iterable[TensorSpec],
        capabilities: Capabilities = Capabilities(("cpu",), ("float32",)),  # noqa: B008 (frozen)
    ) -> None:
        self._function = function
        self._inputs = tuple(inputs)
        self._outputs = tuple(outputs)
        self._capabilities = capabilities

    @property
    def capabilities(self) -> Capabilities:
        """What the test asked for."""
        return self._capabilities

    def load(
        self,
        model: Path | bytes,  # noqa: ARG002 (the function stands for every model)
        *,
        settings: BackendSettings,
    ) -> FakeNetwork:
        """Return a network that calls the function; ``model`` is not looked at."""
        capabilities = self._capabilities
        require_device(self.name, settings.device, capabilities.devices)
        require_precision(settings.device, settings.precision, capabilities.precisions)
        return FakeNetwork(self._function, self._inputs, self._outputs, settings)


class FakeNetwork(Network):
    """Calls the function and keeps what it was fed.

    Attributes:
        calls: a copy of the feeds of each call, in order.
    """

    def __init__(
        self,
        function: Function,
        inputs: Iterable[TensorSpec],
        outputs: Iterable[TensorSpec],
        settings: BackendSettings,
    ) -> None:
        self._function = function
        self._closed = False
        self.inputs = specs_by_name(inputs, settings.batch)
        self.outputs = specs_by_name(outputs, settings.batch)
        self.device = settings.device
        self.precision = "float32" if settings.precision == "auto" else settings.precision
        self.calls: list[dict[str, Array]] = []

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Call the function; see :meth:`Network.infer`."""
        if self._closed:
            raise ClosedError("The network was closed and cannot infer any more.")
        check_feeds(self.inputs, feeds)
        self.calls.append({name: array.copy() for name, array in feeds.items()})
        return {name: np.array(array) for name, array in self._function(feeds).items()}

    def close(self) -> None:
        """Refuse calls from now on."""
        self._closed = True
