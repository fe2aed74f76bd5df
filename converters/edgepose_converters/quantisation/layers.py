"""The layers of a quantised graph, and how to give some of them back their float form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from edgepose_converters.quantisation.cleaning import drop_unused, initialisers, producers
from edgepose_converters.quantisation.post_training import WEIGHTED
from edgepose_converters.quantisation.symmetric import DEQUANTISE

_FLOAT = ".float"


@dataclass(frozen=True)
class Layer:
    """A layer with weights.

    Attributes:
        name: its node in the graph.
        work: multiplications for one sample.
    """

    name: str
    work: int


def weighted_layers(model: onnx.ModelProto) -> list[Layer]:
    """Return the layers of a clean float model, in the order in which they run."""
    inferred = onnx.shape_inference.infer_shapes(model, data_prop=True)
    values = (*inferred.graph.value_info, *inferred.graph.output)
    shapes = {
        value.name: [size.dim_value or 1 for size in value.type.tensor_type.shape.dim][1:]
        for value in values
    }
    stored = initialisers(model.graph)
    return [
        Layer(node.name, _work(node, stored, shapes))
        for node in model.graph.node
        if node.op_type in WEIGHTED and node.input[1] in stored
    ]


def quantised_layers(model: onnx.ModelProto) -> list[str]:
    """Return the names of the layers whose weights are int8."""
    made_by = producers(model.graph)
    return [node.name for node in model.graph.node if _is_quantised(node, made_by)]


def with_float_layers(
    quantised: onnx.ModelProto, model: onnx.ModelProto, names: Collection[str]
) -> onnx.ModelProto:
    """Return a quantised model in which some layers have their float weights and inputs.

    Args:
        quantised: the quantised model.
        model: the clean float model it was made from.
        names: layers to give back.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(quantised)
    originals = {node.name: node for node in model.graph.node}
    made_by, stored = producers(copy.graph), initialisers(model.graph)
    for node in copy.graph.node:
        if node.name in names and _is_quantised(node, made_by):
            _give_back(node, originals[node.name], made_by)
            copy.graph.initializer.extend(
                numpy_helper.from_array(numpy_helper.to_array(stored[name]), name + _FLOAT)
                for name in originals[node.name].input[1:]
            )
    drop_unused(copy.graph)
    return copy


def _give_back(
    node: onnx.NodeProto, original: onnx.NodeProto, made_by: dict[str, onnx.NodeProto]
) -> None:
    """Feed a layer what was quantised, instead of the result, and its own float weights."""
    activation = made_by.get(node.input[0])
    if activation is not None and activation.op_type == DEQUANTISE:
        node.input[0] = made_by[activation.input[0]].input[0]
    for index, name in enumerate(original.input[1:], start=1):
        node.input[index] = name + _FLOAT


def _is_quantised(node: onnx.NodeProto, made_by: dict[str, onnx.NodeProto]) -> bool:
    if node.op_type not in WEIGHTED:
        return False
    weights = made_by.get(node.input[1])
    return weights is not None and weights.op_type == DEQUANTISE


def _work(
    node: onnx.NodeProto, stored: dict[str, onnx.TensorProto], shapes: dict[str, list[int]]
) -> int:
    """Multiplications: every weight once per place it is applied at, which transposed is before."""
    count = 1
    for size in stored[node.input[1]].dims:
        count *= size
    places = shapes.get(node.input[0] if node.op_type == "ConvTranspose" else node.output[0], [])
    for size in places[1:]:
        count *= size
    return count
