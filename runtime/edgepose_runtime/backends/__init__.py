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
    "register_backend",
]

# Names of backends, which are those of the packages they need, and their classes.
_LOCAL = {
    "openvino": "OpenVinoBackend",
    "onnxruntime": "OnnxRuntimeBackend",
}
_BACKENDS = {**_LOCAL, "triton": "TritonBackend"}


# Modules and classes of those that other packages bring along.
_REGISTERED: dict[str, tuple[str, str]] = {}


def register_backend(name: str, module: str, cls: str) -> None:
    """Add a backend that lives elsewhere; its module is imported when it is first used.

    Args:
        name: what users type, and the package that it needs.
        module: where its class is.
        cls: name of the class.
    """
    _REGISTERED[name] = module, cls


def get_backend(name: str) -> Backend:
    """Return the backend of that name: one of ours, or one that was registered.

    Ours are ``openvino``, ``onnxruntime`` and, on a server, ``triton``. Its package is looked for
    when the backend is first used.

    Raises:
        ConfigError: there is no such backend.
    """
    known = {
        **{own: (f"{__name__}.{own}", cls) for own, cls in _BACKENDS.items()},
        **_REGISTERED,
    }
    if name not in known:
        raise ConfigError(f"There is no backend {name!r}; choose one of {', '.join(known)}.")
    module, cls = known[name]
    return cast(Backend, getattr(import_module(module), cls)())


def available_backends() -> tuple[str, ...]:
    """Return the names of the backends that run models on this machine and are installed."""
    return tuple(name for name in (*_LOCAL, *_REGISTERED) if find_spec(name) is not None)
