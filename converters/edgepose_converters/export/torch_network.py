"""A torch module behind the protocol of the runtime's networks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from edgepose_runtime.backends.base import Network, specs_by_name
from edgepose_runtime.tensors import Array, TensorSpec, check_feeds


class TorchNetwork(Network):
    """Runs a module on the CPU in float32, as the reference that graphs are compared with.

    Args:
        module: takes the inputs in order and returns the outputs in order.
        inputs: what it takes.
        outputs: what it returns.
    """

    device = "cpu"
    precision = "float32"

    def __init__(
        self, module: nn.Module, inputs: Iterable[TensorSpec], outputs: Iterable[TensorSpec]
    ) -> None:
        self._module = module.eval()
        self.inputs = specs_by_name(inputs)
        self.outputs = specs_by_name(outputs)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the module once; see :meth:`Network.infer`."""
        check_feeds(self.inputs, feeds)
        with torch.no_grad():
            found = self._module(*(torch.from_numpy(feeds[name]) for name in self.inputs))
        tensors = [found] if isinstance(found, Tensor) else found
        return {name: tensor.numpy() for name, tensor in zip(self.outputs, tensors, strict=True)}

    def close(self) -> None:
        """Do nothing: the module belongs to whoever made it."""
