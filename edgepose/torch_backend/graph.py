"""An ONNX graph as a list of torch functions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper

from edgepose.torch_backend.operators import OPERATORS, Operator
from edgepose_runtime.errors import BackendError
from edgepose_runtime.tensors import Array, TensorSpec

Tensors = dict[str, torch.Tensor]
_AUTOCAST = {"float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Node:
    """One operator of a graph; an input that is left out is ``""``."""

    apply: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]

    def run(self, values: Tensors) -> None:
        """Compute the outputs from the inputs among ``values``, and add them to these."""
        arguments = [values[name] if name else None for name in self.inputs]
        results = self.apply(*arguments, **self.attributes)
        if isinstance(results, torch.Tensor):
            results = (results,)
        values.update(zip(self.outputs, results, strict=False))


@dataclass(frozen=True)
class Graph:
    """A graph with its weights on a device.

    Attributes:
        inputs: the tensors it takes.
        outputs: the tensors it returns.
        nodes: in the order of computation; what depends on weights alone is computed already.
        weights: by name.
        device: where they lie.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    nodes: tuple[Node, ...]
    weights: Tensors
    device: torch.device

    @classmethod
    def read(cls, model: Path | bytes, device: torch.device) -> Graph:
        """Read an ONNX model.

        Raises:
            BackendError: it is none, or has an operator that is not known here.
        """
        graph = _load(model)
        weights = {
            each.name: torch.from_numpy(np.array(numpy_helper.to_array(each))).to(device)
            for each in graph.initializer
        }
        nodes = tuple(_fold(map(_node, graph.node), weights, device))
        fed = [value for value in graph.input if value.name not in weights]
        return cls(tuple(map(_spec, fed)), tuple(map(_spec, graph.output)), nodes, weights, device)

    def run(self, feeds: Mapping[str, Array], precision: str) -> dict[str, Array]:
        """Compute the outputs.

        Args:
            feeds: one array for each input.
            precision: of convolutions and products.
        """
        with ExitStack() as modes:
            modes.enter_context(torch.inference_mode())
            # Convolutions in float32 would else be computed in the shorter TF32.
            modes.enter_context(torch.backends.cudnn.flags(allow_tf32=False))
            if precision in _AUTOCAST:
                kind = _AUTOCAST[precision]
                modes.enter_context(torch.autocast(self.device.type, dtype=kind))
            values = dict(self.weights)
            for name, array in feeds.items():
                values[name] = torch.from_numpy(np.array(array)).to(self.device)
            for node in self.nodes:
                node.run(values)
            return {
                spec.name: values[spec.name].cpu().float().numpy().astype(spec.dtype)
                for spec in self.outputs
            }


def _load(model: Path | bytes) -> onnx.GraphProto:
    named = "given as bytes" if isinstance(model, bytes) else str(model)
    try:
        graph = onnx.load_model_from_string(
            model if isinstance(model, bytes) else model.read_bytes()
        ).graph
    except DecodeError as error:
        raise BackendError(f"PyTorch cannot run the model {named}: {error}.") from error
    if not graph.output:
        raise BackendError(f"PyTorch cannot run the model {named}: it has no outputs.")
    unknown = sorted({node.op_type for node in graph.node} - OPERATORS.keys())
    if unknown:
        raise BackendError(
            f"PyTorch cannot run the model {named}: the backend torch has no operator "
            f"{', '.join(unknown)}. Use the backend openvino or onnxruntime."
        )
    return graph


def _node(node: onnx.NodeProto) -> Node:
    attributes = {
        each.name: _plain(onnx.helper.get_attribute_value(each)) for each in node.attribute
    }
    return Node(OPERATORS[node.op_type], tuple(node.input), tuple(node.output), attributes)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, onnx.TensorProto):
        return torch.from_numpy(np.array(numpy_helper.to_array(value)))
    return value


def _fold(nodes: Iterator[Node], weights: Tensors, device: torch.device) -> Iterator[Node]:
    """Compute what needs no input once and for all, and return the rest."""
    with torch.inference_mode():
        for node in nodes:
            if all(name in weights for name in node.inputs if name):
                node.run(weights)
                for name in node.outputs:
                    weights[name] = weights[name].to(device)
            else:
                yield node


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    kind = value.type.tensor_type
    dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type).name
    return TensorSpec(value.name, dtype, tuple(_sizes(kind.shape.dim)))


def _sizes(dimensions: Sequence[Any]) -> Iterator[int | str]:
    for axis, dimension in enumerate(dimensions):
        if dimension.HasField("dim_value"):
            yield dimension.dim_value
        else:
            yield dimension.dim_param or f"D{axis}"
