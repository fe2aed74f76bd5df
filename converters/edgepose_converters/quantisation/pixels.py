"""Pixels as int8: what a camera gives is what the first convolution takes."""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgepose_converters.quantisation.cleaning import (
    Graph,
    consumers,
    initialisers,
    producers,
    replace_nodes,
    store,
)

# Pixels less this fill int8 from end to end.
_MIDDLE = np.float32(128)
_CENTRED = "pixels_centred"
_PATTERN = ("Cast", "Mul", "Add", "Transpose", "Gather", "Conv")


def centre_pixels(graph: Graph) -> None:
    """Let the first convolution take pixels less 128 instead of normalised ones.

    Normalisation and the order of colours become part of its weights. Then its input in int8 is
    exact and needs no arithmetic but the subtraction. Outside of the image it sees grey, as that is
    0 now, instead of the mean colour. Graphs whose normalised pixels go elsewhere as well, such as
    a head that looks at several views, are left alone.

    Args:
        graph: a clean graph; changed in place.
    """
    found = _first_nodes(graph)
    if found is None:
        return
    cast, scaled, shifted, moved, ordered, convolution = found
    stored = initialisers(graph)
    scale, shift, order = (
        numpy_helper.to_array(stored[node.input[1]]).reshape(-1)
        for node in (scaled, shifted, ordered)
    )
    weights, bias = (stored[name] for name in convolution.input[1:])
    _absorb(weights, bias, scale, shift, order)
    graph.initializer.append(numpy_helper.from_array(np.asarray(_MIDDLE), "pixels_middle"))
    centred = helper.make_node("Sub", [cast.output[0], "pixels_middle"], [_CENTRED], _CENTRED)
    moved.input[0] = _CENTRED
    convolution.input[0] = moved.output[0]
    gone = (scaled, shifted, ordered)
    nodes = [node for node in graph.node if node not in gone]
    nodes.insert(nodes.index(cast) + 1, centred)
    replace_nodes(graph, nodes)


def keep_pixels_exact(model: onnx.ModelProto) -> None:
    """Quantise centred pixels in steps of 1, whatever range the calibration frames had."""
    stored = initialisers(model.graph)
    names = {
        quantise.input[1]
        for node in model.graph.node
        if node.name == _CENTRED
        for quantise in _quantisers(model.graph, node.output[0])
    }
    for name in names:
        store(stored[name], np.ones_like(numpy_helper.to_array(stored[name])))


def _quantisers(graph: Graph, name: str) -> list[onnx.NodeProto]:
    """Return what quantises a tensor, or the same values in another order."""
    found = []
    for node in consumers(graph, name):
        if node.op_type == "QuantizeLinear":
            found.append(node)
        elif node.op_type == "Transpose":
            found += _quantisers(graph, node.output[0])
    return found


def _first_nodes(graph: Graph) -> list[onnx.NodeProto] | None:
    """Return the nodes from the image to the first convolution, if nothing else needs any."""
    made_by = producers(graph)
    for convolution in graph.node:
        if convolution.op_type != "Conv" or len(convolution.input) < 3:
            continue
        chain = [convolution]
        while (before := made_by.get(chain[0].input[0])) is not None:
            chain.insert(0, before)
        if tuple(node.op_type for node in chain) == _PATTERN:
            alone = all(len(consumers(graph, node.output[0])) == 1 for node in chain[:-1])
            return chain if alone else None
    return None


def _absorb(
    weights: onnx.TensorProto,
    bias: onnx.TensorProto,
    scale: NDArray[np.float32],
    shift: NDArray[np.float32],
    order: NDArray[np.int64],
) -> None:
    """Make weights for pixels less 128 of those for ``pixels * scale + shift`` in an order."""
    old = numpy_helper.to_array(weights)
    per_pixel = old * scale[order][:, None, None]
    constant = np.einsum("oihw,i->o", old, (shift + scale * _MIDDLE)[order])
    store(weights, per_pixel[:, np.argsort(order)])
    store(bias, (numpy_helper.to_array(bias) + constant).astype(np.float32))
