"""PyTorch as a backend: a bundle's ONNX graph, operator by operator, on CPUs and CUDA GPUs.

For machines that have torch anyway. The other backends fuse operators and are several times as
fast on a CPU.
"""

from edgepose.torch_backend.backend import TorchBackend, TorchNetwork

__all__ = ["TorchBackend", "TorchNetwork"]
