"""Post-training quantisation of one graph by NNCF."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout

import onnx
from onnx import helper

from edgepose_converters.quantisation.cleaning import (
    consumers,
    initialisers,
    producers,
    replace_nodes,
    rewire,
)
from edgepose_converters.quantisation.pixels import keep_pixels_exact
from edgepose_converters.quantisation.symmetric import make_portable
from edgepose_runtime.errors import BackendError
from edgepose_runtime.telemetry import no_telemetry
from edgepose_runtime.tensors import Array

with no_telemetry():
    import nncf
    from nncf.common.quantization.structs import QuantizationPreset, QuantizationScheme
    from nncf.quantization.advanced_parameters import (
        AdvancedQuantizationParameters,
        OverflowFix,
        QuantizationParameters,
    )

Feeds = Mapping[str, Array]

#: Layers with weights, which are what int8 makes fast.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
# Nodes that NNCF leaves alone by itself, since they give back the values they take.
_PASSED = ("Relu", "Clip", "DepthToSpace", "MaxPool", "Transpose", "Reshape", "Cast", "Identity")
_SHIELD = ".shield"


def quantised(
    model: onnx.ModelProto,
    feeds: Sequence[Feeds],
    on_frame: Callable[[], None] = lambda: None,
) -> onnx.ModelProto:
    """Return a clean float model with int8 layers, as ONNX QDQ.

    Weights are quantised per output channel, activations per tensor (ONNX Runtime refuses
    depth-wise activations per channel), both symmetrically, as TensorRT asks for. Quantised are
    layers with weights and sums of two features; all arithmetic on coordinates stays float.

    Args:
        model: the result of :func:`~edgepose_converters.quantisation.cleaning.cleaned`.
        feeds: real inputs, from which the ranges of activations are taken.
        on_frame: called for each of the feeds.

    Raises:
        BackendError: NNCF cannot quantise the model.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    _shield_products(copy.graph)
    try:
        with _quiet():
            result: onnx.ModelProto = nncf.quantize(
                copy,
                nncf.Dataset(_reporting(feeds, on_frame)),
                preset=QuantizationPreset.PERFORMANCE,
                subset_size=len(feeds),
                ignored_scope=nncf.IgnoredScope(names=_left_float(copy.graph)),
                advanced_parameters=_parameters(),
            )
    except (nncf.ValidationError, nncf.InternalError, nncf.ParameterNotSupportedError) as error:
        raise BackendError(f"NNCF cannot quantise the graph: {error}") from error
    _remove_shields(result.graph)
    make_portable(result)
    keep_pixels_exact(result)
    return result


def _parameters() -> AdvancedQuantizationParameters:
    symmetric = QuantizationScheme.SYMMETRIC
    return AdvancedQuantizationParameters(
        # Halving the range of weights helps CPUs without VNNI only, and costs accuracy on all.
        overflow_fix=OverflowFix.DISABLE,
        activations_quantization_params=QuantizationParameters(per_channel=False, mode=symmetric),
        weights_quantization_params=QuantizationParameters(per_channel=True, mode=symmetric),
    )


def _left_float(graph: onnx.GraphProto) -> list[str]:
    """Return the nodes that are neither layers nor sums of two features.

    Layers behind a Concat are left as well: OpenVINO (2026.4) computes them wrongly in int8, a
    sixth of the heat-maps off where ONNX Runtime is a hundredth off. So are those whose weights
    are computed: no runtime has them in int8.
    """
    stored, made_by = initialisers(graph), producers(graph)

    def is_float(node: onnx.NodeProto) -> bool:
        if node.op_type == "Add":
            return any(name in stored for name in node.input) or _sums_in_float(graph, node)
        if node.op_type in WEIGHTED and node.input[1] not in stored:
            return True
        before = made_by.get(node.input[0])
        if node.op_type in WEIGHTED and before is not None and before.op_type == "Concat":
            return True
        return node.op_type not in (*WEIGHTED, *_PASSED)

    return [node.name for node in graph.node if is_float(node)]


def _sums_in_float(graph: onnx.GraphProto, node: onnx.NodeProto) -> bool:
    """Return whether int8 would gain a sum nothing: its terms are computed in float, as SiLU is.

    A sum before a sigmoid is of heat-maps, too.
    """
    made_by = producers(graph)
    before = [made_by[name].op_type for name in node.input if name in made_by]
    after = [each.op_type for each in consumers(graph, node.output[0])]
    return "Mul" in before or "Sigmoid" in after


def _shield_products(graph: onnx.GraphProto) -> None:
    """Put a node between products and what follows, lest NNCF takes a sum for a layer's bias.

    It looks for the layer's input at the place where a product ``constant @ x`` has its constant.
    """
    stored, nodes = initialisers(graph), []
    for node in graph.node:
        nodes.append(node)
        if node.op_type == "MatMul" and node.input[0] in stored:
            name = node.output[0]
            node.output[0] = name + _SHIELD
            nodes.append(helper.make_node("Identity", [name + _SHIELD], [name], name + _SHIELD))
    replace_nodes(graph, nodes)


def _remove_shields(graph: onnx.GraphProto) -> None:
    shields = [node for node in graph.node if node.name.endswith(_SHIELD)]
    for node in shields:
        rewire(graph, node.output[0], node.input[0])
        graph.node.remove(node)


def _reporting(feeds: Iterable[Feeds], on_frame: Callable[[], None]) -> Iterator[Feeds]:
    for feed in feeds:
        yield feed
        on_frame()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep NNCF from writing to the terminal: progress is ours to show."""
    logger = logging.getLogger("nncf")
    level = logger.level
    logger.setLevel(logging.ERROR)  # not its handlers' as well: others may share those
    try:
        with redirect_stdout(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)
