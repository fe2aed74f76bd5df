"""Inference backends behind one protocol.

A backend's package is imported when the backend is first used, not when this package is.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import cast

from edgepose_runtime.backends.base import (
    PRECISIONS,
    Backend,
    BackendSettings,
    Capabilities,
    Network,
)
from edgepose_runtime.errors import ConfigError

__all__ = [
    "PRECISIONS",
    "Backend",
    "BackendSettings",
    "Capabilities",
    "Network",
    "available_backends",
    "get_backend",
]

# Names of backends, which are those of the packages they need, and their classes.
_LOCAL = {
    "openvino": "OpenVinoBackend",
    "onnxruntime": "OnnxRuntimeBackend",
}
_BACKENDS = {**_LOCAL, "triton": "TritonBackend"}


def get_backend(name: str) -> Backend:
    """Return the backend of that name: ``openvino``, ``onnxruntime`` or, on a server, ``triton``.

    Its package is imported when the backend is first used.

    Raises:
        ConfigError: there is no such backend.
    """
    if name not in _BACKENDS:
        raise ConfigError(f"There is no backend {name!r}; choose one of {', '.join(_BACKENDS)}.")
    module = import_module(f"{__name__}.{name}")
    return cast(Backend, getattr(module, _BACKENDS[name])())


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that run models on this machine and are installed."""
    return tuple(name for name in _LOCAL if find_spec(name) is not None)
