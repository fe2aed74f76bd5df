"""The body of a float bundle as a network that can be trained further.

A bundle's graph keeps the names of the network's parameters, but its batch norms are folded into
the convolutions before them. Here the folded biases go back into the norms, which then compute
nothing else; `movenet.restore_norms` gives them statistics to be trained with. RTMPose's linear
layers and means have no names in a graph: they come in the order in which the network computes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from edgepose.models.pose.batch_norm_folding import norms_after_convolutions
from edgepose.models.pose.network import LIGHT_PYRAMID, RTMPOSE, PoseNetwork, build_network
from edgepose_converters.checkpoints.importing import fill_convolution
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.errors import CheckpointError
from edgepose_runtime.poses.skeletons import get_skeleton

BUNDLE_FORM = "bundle"
#: What tells RTMPose-s from the other body.
_RTMPOSE_LAYER = "backbone.stage1.0.conv.weight"
#: The ends of the names of its linear layers, which stand in the graph in the network's order.
_LINEAR = ("mlp.1.weight", "gau.uv.weight", "gau.o.weight", "cls_x.weight", "cls_y.weight")
_GAMMA_AXES = 4

#: Where a graph keeps the body's parameters, by the graph's name.
_PREFIXES = {"step": ("ppn.body.", "body."), "body": ("network.", "ppn.body.", "body.")}


def read_bundle_body(bundle: Bundle) -> PoseNetwork:
    """Read the body network of a float bundle: MobileNet-V2 with a light pyramid, or RTMPose-s.

    Args:
        bundle: with float weights; float16 is widened.

    Returns:
        The network in evaluation mode, which returns the heat-maps of the bundle's body.

    Raises:
        CheckpointError: the graph is quantised, damaged or of another form.
    """
    if bundle.manifest.precision != "float32":
        raise CheckpointError(
            f"The bundle {bundle.manifest.name} is {bundle.manifest.precision}, which cannot be "
            "trained further; give a float bundle, such as ppn-swift-float or ppn-stable-float."
        )
    weights, graph = _body_weights(bundle)
    joints = get_skeleton(bundle.manifest.skeleton).num_joints
    if _RTMPOSE_LAYER in weights:
        return _rtmpose(build_network(RTMPOSE, joints).eval(), weights, graph)
    size, view = bundle.manifest.input.size, bundle.manifest.input.view
    upright = None if view.width == view.height else (view.width, view.height)
    network = build_network(replace(LIGHT_PYRAMID, image=upright, region=size), joints).eval()
    example = torch.rand(1, 3, view.height, view.width)
    norms = {conv: norm for norm, conv in norms_after_convolutions(network, (example,)).items()}
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            _fill(layer, norms.get(layer), name, weights)
    return network


def read_constants(path: Path) -> dict[str, Tensor]:
    """Return the constants of an ONNX file by name, float16 as float32.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    return _constants(_read_graph(path))


def _read_graph(path: Path) -> onnx.GraphProto:
    try:
        return onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"The graph {path} cannot be read: {error}.") from error


def _constants(graph: onnx.GraphProto) -> dict[str, Tensor]:
    return {
        stored.name.removesuffix(".float16"): torch.from_numpy(
            onnx.numpy_helper.to_array(stored).copy()
        )
        for stored in graph.initializer
    }


def _body_weights(bundle: Bundle) -> tuple[dict[str, Tensor], onnx.GraphProto]:
    """Return the body's parameters by name, and the graph that they are from."""
    for name, prefixes in _PREFIXES.items():
        if name not in bundle.manifest.graphs:
            continue
        graph = _read_graph(bundle.graph_path(name))
        constants = _constants(graph)
        for prefix in prefixes:
            found = {
                name.removeprefix(prefix): value.float()
                for name, value in constants.items()
                if name.startswith(prefix)
            }
            if found:
                return found, graph
    raise CheckpointError(
        f"The bundle {bundle.manifest.name} holds no body by the names of its parameters; give a "
        "float bundle that edgepose convert made of a checkpoint, such as ppn-swift-float."
    )


def _fill(
    layer: nn.Conv2d, norm: nn.BatchNorm2d | None, name: str, weights: dict[str, Tensor]
) -> None:
    weight, bias = weights.get(f"{name}.weight"), weights.get(f"{name}.bias")
    if weight is None or weight.shape != layer.weight.shape:
        found = "none" if weight is None else str(tuple(weight.shape))
        raise CheckpointError(
            f"The body of the bundle is of another form: the weight of {name!r} must have the "
            f"shape {tuple(layer.weight.shape)}, but {found} was found."
        )
    fill_convolution(layer, norm, weight, bias)


def _rtmpose(
    network: PoseNetwork, weights: dict[str, Tensor], graph: onnx.GraphProto
) -> PoseNetwork:
    """Fill RTMPose-s, whose batch norms were folded before it was published."""
    wanted = network.state_dict()
    values = {**weights, **dict(_unnamed(graph, list(wanted)))}
    missing = [name for name, value in wanted.items() if _shape(values, name) != value.shape]
    if missing:
        raise CheckpointError(
            f"The body of the bundle is not RTMPose-s as edgepose exports it: {len(missing)} "
            f"weights are missing or have another shape, {missing[0]!r} first."
        )
    network.load_state_dict({name: values[name] for name in wanted})
    return network


def _unnamed(graph: onnx.GraphProto, wanted: list[str]) -> Iterator[tuple[str, Tensor]]:
    """Yield the parameters that have no name in a graph of RTMPose-s, by their name."""
    constants = _constants(graph)
    own = [node for node in graph.node if node.name.startswith(("/body/", "/network/"))]
    used = {kind: list(_inputs(own, kind, constants)) for kind in ("MatMul", "Sub", "Mul")}
    linear = [n for n in wanted if n.endswith(_LINEAR)]
    for name, value in zip(linear, used["MatMul"], strict=False):
        yield name, value.T.contiguous()
    means = [name for name in wanted if name.endswith(".mean")]
    for name, value in zip(means, used["Sub"], strict=False):
        yield name, value.flatten()
    for value in used["Mul"]:
        if value.ndim == _GAMMA_AXES:
            yield "head.gau.gamma", value.flatten(0, 2)


def _inputs(
    nodes: list[onnx.NodeProto], kind: str, constants: dict[str, Tensor]
) -> Iterator[Tensor]:
    """Yield the second inputs of nodes of a kind that are constants without a name of their own."""
    for node in nodes:
        key = node.input[1] if node.op_type == kind else ""
        if key.startswith("onnx::") and key in constants:
            yield constants[key]


def _shape(values: dict[str, Tensor], name: str) -> torch.Size | None:
    return values[name].shape if name in values else None
