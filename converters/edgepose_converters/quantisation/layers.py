"""The layers of a quantised graph, and how to give some of them back their float form."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from edgepose_converters.quantisation.cleaning import initialisers, producers
from edgepose_converters.quantisation.post_training import WEIGHTED
from edgepose_converters.quantisation.symmetric import DEQUANTISE


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
    made_by, stored = producers(copy.graph), initialisers(model.graph)
    originals = {node.name: node for node in model.graph.node}
    here = set(initialisers(copy.graph))
    for node in copy.graph.node:
        if node.name not in names or not _is_quantised(node, made_by):
            continue
        activation = made_by.get(node.input[0])
        if activation is not None and activation.op_type == DEQUANTISE:
            node.input[0] = made_by[activation.input[0]].input[0]
        for index, name in enumerate(originals[node.name].input[1:], start=1):
            node.input[index] = f"{name}.float"
            if node.input[index] not in here:
                here.add(node.input[index])
                values = numpy_helper.to_array(stored[name])
                copy.graph.initializer.append(numpy_helper.from_array(values, f"{name}.float"))
    return copy


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
