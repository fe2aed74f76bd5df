"""Servers that speak the Open Inference Protocol v2: Triton, OpenVINO Model Server, KServe.

The package ``tritonclient`` is imported when the first server is connected to.
"""

from edgepose_runtime.backends.triton.address import ServerAddress
from edgepose_runtime.backends.triton.backend import TritonBackend, open_server
from edgepose_runtime.backends.triton.breaker import BreakerState
from edgepose_runtime.backends.triton.matching import Expected
from edgepose_runtime.backends.triton.network import ServerNetwork
from edgepose_runtime.backends.triton.settings import ServerSettings

__all__ = [
    "BreakerState",
    "Expected",
    "ServerAddress",
    "ServerNetwork",
    "ServerSettings",
    "TritonBackend",
    "open_server",
]
