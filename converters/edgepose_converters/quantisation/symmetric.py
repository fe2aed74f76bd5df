"""Quantised graphs in the form that every runtime takes."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from edgepose_converters.quantisation.cleaning import (
    Graph,
    consumers,
    initialisers,
    producers,
    replace_nodes,
    store,
)
from edgepose_runtime.errors import BackendError

QUANTISE, DEQUANTISE = "QuantizeLinear", "DequantizeLinear"
# Levels above zero of the two types: the same largest value gets another step.
_FEWER_LEVELS = np.float32(255 / 127)


def make_portable(model: onnx.ModelProto) -> None:
    """Change a quantised graph so that ONNX Runtime, OpenVINO and TensorRT all run it.

    TensorRT takes int8 with a zero point of 0 only, so unsigned activations get half the levels.
    A scale of one element becomes a scalar, which ONNX Runtime wants for sums in int8.
    Where an int8 activation goes through DepthToSpace, OpenVINO (2026.4) loses the ReLU before it:
    such activations are quantised behind it instead.

    Raises:
        BackendError: an activation has a zero point, which cannot be changed afterwards.
    """
    _make_signed(model.graph)
    _make_scalar(model.graph)
    _quantise_behind_depth_to_space(model.graph)
    # Written down by the quantiser, and of the old types.
    del model.graph.value_info[:]
    onnx.checker.check_model(model, full_check=True)


def _make_signed(graph: Graph) -> None:
    stored = initialisers(graph)
    scales, zeros = set(), set()
    for node in graph.node:
        if node.op_type in (QUANTISE, DEQUANTISE) and _is_unsigned(stored[node.input[2]]):
            scales.add(node.input[1])
            zeros.add(node.input[2])
    for name in scales:
        store(stored[name], numpy_helper.to_array(stored[name]) * _FEWER_LEVELS)
    for name in zeros:
        store(stored[name], numpy_helper.to_array(stored[name]).astype(np.int8))


def _make_scalar(graph: Graph) -> None:
    stored = initialisers(graph)
    for node in graph.node:
        if node.op_type in (QUANTISE, DEQUANTISE) and node.input[0] not in stored:
            for name in node.input[1:]:
                if list(stored[name].dims) == [1]:
                    store(stored[name], numpy_helper.to_array(stored[name]).reshape(()))


def _is_unsigned(zero: onnx.TensorProto) -> bool:
    values = numpy_helper.to_array(zero)
    if np.any(values != 0):
        raise BackendError(
            f"The quantised graph has a zero point {zero.name!r} that is not 0, which TensorRT "
            "does not take; quantise activations symmetrically."
        )
    return values.dtype == np.uint8


def _quantise_behind_depth_to_space(graph: Graph) -> None:
    """Turn quantise, dequantise, DepthToSpace into DepthToSpace, quantise, dequantise."""
    made_by, nodes = producers(graph), list(graph.node)
    for shuffle in [node for node in nodes if node.op_type == "DepthToSpace"]:
        dequantise = made_by[shuffle.input[0]]
        if dequantise.op_type != DEQUANTISE or len(consumers(graph, shuffle.input[0])) > 1:
            continue
        quantise = made_by[dequantise.input[0]]
        between, shuffled = dequantise.output[0], shuffle.output[0]
        shuffle.input[0], shuffle.output[0] = quantise.input[0], between
        quantise.input[0], dequantise.output[0] = between, shuffled
        nodes.remove(shuffle)
        nodes.insert(nodes.index(quantise), shuffle)
    replace_nodes(graph, nodes)
