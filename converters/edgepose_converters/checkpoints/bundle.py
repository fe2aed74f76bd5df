"""The body of a float bundle as a network that can be trained further.

A bundle's graph keeps the names of the network's parameters, but its batch norms are folded into
the convolutions before them. Here the folded biases go back into the norms, which then compute
nothing else; `movenet.restore_norms` gives them statistics to be trained with.
"""

from __future__ import annotations

from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from edgepose.models.pose.batch_norm_folding import norms_after_convolutions
from edgepose.models.pose.network import LIGHT_PYRAMID, NetworkConfig, PoseNetwork, build_network
from edgepose_converters.checkpoints.importing import fill_convolution
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.errors import CheckpointError
from edgepose_runtime.poses.skeletons import get_skeleton

BUNDLE_FORM = "bundle"

#: Where a graph keeps the body's parameters, by the graph's name.
_PREFIXES = {"step": ("ppn.body.", "body."), "body": ("network.", "ppn.body.", "body.")}


def read_bundle_body(bundle: Bundle, config: NetworkConfig = LIGHT_PYRAMID) -> PoseNetwork:
    """Read the body network of a float bundle.

    Args:
        bundle: with float weights; float16 is widened.
        config: the form of the network; that of the shipped bodies.

    Returns:
        The network in evaluation mode, which returns the heat-maps of the bundle's body.

    Raises:
        CheckpointError: the graph is quantised, damaged or of another form.
    """
    if bundle.manifest.precision != "float32":
        raise CheckpointError(
            f"The bundle {bundle.manifest.name} is {bundle.manifest.precision}, which cannot be "
            "trained further; give a float bundle, such as ppn-swift-float."
        )
    weights = _body_weights(bundle)
    size = bundle.manifest.input.size
    network = build_network(config, get_skeleton(bundle.manifest.skeleton).num_joints).eval()
    norms = {
        conv: norm
        for norm, conv in norms_after_convolutions(network, (torch.rand(1, 3, size, size),)).items()
    }
    for name, layer in network.named_modules():
        if isinstance(layer, nn.Conv2d):
            _fill(layer, norms.get(layer), name, weights)
    return network


def read_constants(path: Path) -> dict[str, Tensor]:
    """Return the constants of an ONNX file by name, float16 as float32.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"The graph {path} cannot be read: {error}.") from error
    return {
        stored.name.removesuffix(".float16"): torch.from_numpy(
            onnx.numpy_helper.to_array(stored).copy()
        )
        for stored in graph.initializer
    }


def _body_weights(bundle: Bundle) -> dict[str, Tensor]:
    for graph, prefixes in _PREFIXES.items():
        if graph not in bundle.manifest.graphs:
            continue
        constants = read_constants(bundle.graph_path(graph))
        for prefix in prefixes:
            found = {
                name.removeprefix(prefix): value.float()
                for name, value in constants.items()
                if name.startswith(prefix)
            }
            if found:
                return found
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
