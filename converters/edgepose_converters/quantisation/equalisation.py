"""Channels of similar ranges, so that one step of int8 fits all of a feature.

Activations are quantised per tensor, with a step that the largest channel sets. Where one channel
reaches 60 and most reach 1, as in RTMPose-s, the others are left with two or three levels. So each
channel is divided by a factor of its own before a convolution, whose weights are multiplied by it:
the result is the same.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from edgepose_converters.quantisation.cleaning import Graph, initialisers, replace_nodes, store
from edgepose_converters.quantisation.probing import Feeds
from edgepose_runtime.backends import BackendSettings, get_backend

#: Channels are left alone where the largest is less than so many times the median one.
LEAST_SPREAD = 2.5
# How much of the range goes from the activations into weights that several channels share.
_MIGRATION = 0.75
_LEAST = np.float32(1e-3)
_EQUALISED = ".equalised"

Values = NDArray[np.float32]


def equalise_channels(
    model: onnx.ModelProto, feeds: Sequence[Feeds], left: Collection[str] = ()
) -> list[str]:
    """Make the ranges of channels similar before convolutions; return the names of those.

    The factors are those of SmoothQuant (Xiao et al., 2023, Eq. 4). A depth-wise convolution has a
    step of weights for each channel, so its channels become equal at no cost.

    Args:
        model: a clean float model; changed in place, and computes the same afterwards.
        feeds: real inputs, from which the ranges are taken.
        left: names of convolutions to leave as they are.
    """
    layers = _convolutions(model.graph, left)
    if not layers:
        return []
    nodes, found = list(model.graph.node), []
    for name, largest in _channel_ranges(model, list(layers), feeds).items():
        if largest.max() <= LEAST_SPREAD * np.median(largest):
            continue
        division = _divide(model.graph, name, layers[name], largest)
        nodes.insert(min(map(nodes.index, layers[name])), division)
        found += [layer.name for layer in layers[name]]
    replace_nodes(model.graph, nodes)
    return found


def _convolutions(graph: Graph, left: Collection[str]) -> dict[str, list[onnx.NodeProto]]:
    """Return the convolutions whose weights can take factors, by the feature that they take.

    Those weights are stored, and of this convolution only: others that share them would change.
    """
    stored, found = initialisers(graph), defaultdict(list)
    uses = Counter(name for node in graph.node for name in node.input)
    for node in graph.node:
        if node.op_type != "Conv" or node.name in left:
            continue
        weights = stored.get(node.input[1])
        if weights is not None and uses[weights.name] == 1 and _is_plain(node, weights):
            found[node.input[0]].append(node)
    return found


def _is_plain(node: onnx.NodeProto, weights: onnx.TensorProto) -> bool:
    """Return whether a convolution is dense, or depth-wise with one output for each channel."""
    groups = next((each.i for each in node.attribute if each.name == "group"), 1)
    outputs, inputs = weights.dims[:2]
    return groups == 1 or (inputs == 1 and outputs == groups)


def _channel_ranges(
    model: onnx.ModelProto, names: Sequence[str], feeds: Sequence[Feeds]
) -> dict[str, Values]:
    """Return the largest absolute value in each channel of some features."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(helper.make_tensor_value_info(name, 1, None) for name in names)
    settings = BackendSettings(precision="float32", num_threads=1, batch=1)
    with get_backend("onnxruntime").load(copy.SerializeToString(), settings=settings) as network:
        seen = [
            {name: np.abs(each).max((0, 2, 3)) for name, each in network.infer(feed).items()}
            for feed in feeds
        ]
    return {name: np.max([ranges[name] for ranges in seen], axis=0) for name in names}


def _factors(
    largest: Values, layers: Sequence[onnx.NodeProto], stored: dict[str, onnx.TensorProto]
) -> Values:
    """Return what each channel is divided by."""
    largest = _bounded(largest)
    weights = [numpy_helper.to_array(stored[layer.input[1]]) for layer in layers]
    if all(map(_is_depthwise, weights)):
        factors = largest
    else:
        of_weights = _bounded(np.max([_ranges_by_input(each) for each in weights], axis=0))
        factors = largest**_MIGRATION / of_weights ** (1 - _MIGRATION)
    return (factors / np.median(factors)).astype(np.float32)


def _divide(
    graph: Graph, name: str, layers: Sequence[onnx.NodeProto], largest: Values
) -> onnx.NodeProto:
    """Let layers take the feature divided by channel; return the node that divides it."""
    divided, stored = name + _EQUALISED, initialisers(graph)
    factors = _factors(largest, layers, stored)
    inverse = numpy_helper.from_array(1 / factors[:, None, None], divided + ".factors")
    graph.initializer.append(inverse)
    for layer in layers:
        weights = numpy_helper.to_array(stored[layer.input[1]])
        by_channel = factors[:, None] if _is_depthwise(weights) else factors
        store(stored[layer.input[1]], weights * by_channel[..., None, None])
        layer.input[0] = divided
    return helper.make_node("Mul", [name, inverse.name], [divided], divided)


def _bounded(ranges: Values) -> Values:
    """Keep channels without values, or without weights, from getting factors without bounds."""
    bounded: Values = np.maximum(ranges, max(_LEAST * ranges.max(), np.finfo(np.float32).tiny))
    return bounded


def _is_depthwise(weights: Values) -> bool:
    return weights.shape[1] == 1 and len(weights) > 1


def _ranges_by_input(weights: Values) -> Values:
    """Return the largest absolute weight of each channel that a convolution takes."""
    largest: Values = np.abs(weights).max((1, 2, 3) if _is_depthwise(weights) else (0, 2, 3))
    return largest
