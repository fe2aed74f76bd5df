"""Float graphs in the form that quantisation needs."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

Graph = onnx.GraphProto


def cleaned(content: bytes) -> onnx.ModelProto:
    """Return the model of an ONNX file in a plain form that computes the same.

    Constants are initialisers, and weights that were stored as float16 are float32.
    """
    model = onnx.load_model_from_string(content)
    _fold_constants(model.graph)
    drop_unused(model.graph)
    del model.graph.value_info[:]
    onnx.checker.check_model(model)
    return model


def initialisers(graph: Graph) -> dict[str, onnx.TensorProto]:
    """Return the stored tensors by name."""
    return {tensor.name: tensor for tensor in graph.initializer}


def producers(graph: Graph) -> dict[str, onnx.NodeProto]:
    """Return the node that makes each tensor, by the tensor's name."""
    return {name: node for node in graph.node for name in node.output}


def consumers(graph: Graph, name: str) -> list[onnx.NodeProto]:
    """Return the nodes that use a tensor."""
    return [node for node in graph.node if name in node.input]


def store(tensor: onnx.TensorProto, values: NDArray[np.generic]) -> None:
    """Give a stored tensor other values."""
    tensor.CopyFrom(numpy_helper.from_array(np.asarray(values, order="C"), tensor.name))


def replace_nodes(graph: Graph, nodes: list[onnx.NodeProto]) -> None:
    """Give a graph other nodes, in the order in which they run."""
    del graph.node[:]
    graph.node.extend(nodes)


def rewire(graph: Graph, old: str, new: str) -> None:
    """Make every node that uses the tensor ``old`` use ``new``."""
    for node in graph.node:
        for index, name in enumerate(node.input):
            if name == old:
                node.input[index] = new


def drop_unused(graph: Graph) -> None:
    """Remove nodes and stored tensors that no output depends on."""
    used = {output.name for output in graph.output}
    kept: list[onnx.NodeProto] = []
    for node in reversed(graph.node):
        if used & {*node.output}:
            used |= {*node.input}
            kept.append(node)
    replace_nodes(graph, kept[::-1])
    tensors = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(tensors)


def _fold_constants(graph: Graph) -> None:
    stored, kept = initialisers(graph), []
    for node in graph.node:
        values = _constant(node, stored)
        if values is None:
            kept.append(node)
            continue
        folded = numpy_helper.from_array(values, node.output[0])
        graph.initializer.append(folded)
        stored[folded.name] = folded
    replace_nodes(graph, kept)


def _constant(
    node: onnx.NodeProto, stored: dict[str, onnx.TensorProto]
) -> NDArray[np.generic] | None:
    """Return what a node always gives, if it is a constant, or the copy or cast of one."""
    if node.op_type == "Constant":
        return numpy_helper.to_array(node.attribute[0].t)
    if node.op_type not in ("Cast", "Identity") or node.input[0] not in stored:
        return None
    values = numpy_helper.to_array(stored[node.input[0]])
    if node.op_type == "Identity":
        return values
    return values.astype(helper.tensor_dtype_to_np_dtype(node.attribute[0].i))
