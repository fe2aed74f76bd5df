"""MoveNet Lightning as a start for our own network: its weights in a `PoseNetwork` of its form.

The published graph has the batch norms folded into its convolutions. A network that is trained
further wants them back, with statistics of real pictures, or its first steps undo what was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TypeAlias

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from edgepose.models.backbones.imagenet import MEAN, STD
from edgepose.models.pose.network import LIGHT_PYRAMID, PoseNetwork, build_network
from edgepose.training.tasks.networks import convert_outputs
from edgepose_converters.checkpoints.importing import fill_convolution
from edgepose_runtime.errors import CheckpointError
from edgepose_runtime.poses.skeletons import COCO17, Skeleton

MOVENET_FORM = "movenet"

# In the order of the graph: backbone, pyramid, then three separable convolutions and an output
# each for the regression, the offsets, the heat-maps and the centre.
_HEATMAPS = slice(-6, -3)
Weights: TypeAlias = tuple[Tensor, Tensor | None]


def import_movenet(path: str | Path, skeleton: Skeleton) -> PoseNetwork:
    """Read ``movenet-lightning.onnx`` as a network; `restore_norms` lets it be trained further.

    Args:
        path: the published graph (``singlepose/lightning/4``, by tf2onnx).
        skeleton: joints of the heat-maps; those that COCO lacks start at zero.

    Returns:
        The network in evaluation mode; with the joints of COCO its maps are MoveNet's.

    Raises:
        CheckpointError: the file is missing or damaged, or another network.
    """
    convolutions = _read(Path(path))
    network = build_network(LIGHT_PYRAMID, COCO17.num_joints).eval()
    try:
        _fill(network, convolutions)
    except (IndexError, ValueError) as error:
        raise CheckpointError(f"The graph {path} is not MoveNet Lightning: {error}.") from error
    converted = build_network(LIGHT_PYRAMID, skeleton.num_joints)
    converted.load_state_dict(convert_outputs(network.state_dict(), COCO17, skeleton))
    return converted.eval()


def restore_norms(network: nn.Module, pictures: Tensor) -> None:
    """Give batch norms that are folded away statistics, and leave what they compute as it is.

    Args:
        network: in evaluation mode; changed in place.
        pictures: input to take the statistics from, all in one batch.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    seen: dict[nn.BatchNorm2d, Tensor] = {}

    def note(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0].transpose(0, 1).flatten(1)
        seen[layer] = torch.stack([values.mean(1), values.var(1)])

    with ExitStack() as hooks, torch.no_grad():
        for norm in norms:
            hooks.callback(norm.register_forward_pre_hook(note).remove)
        network(pictures)
        for norm, (mean, variance) in seen.items():
            scale, shift = _scale(norm)
            norm.running_mean, norm.running_var = mean, variance
            norm.weight.copy_(scale * (variance + norm.eps).sqrt())
            norm.bias.copy_(shift + scale * mean)


def _scale(norm: Any) -> tuple[Tensor, Tensor]:
    """Return by what a norm multiplies, and what it then adds."""
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias - scale * norm.running_mean


def _read(path: Path) -> list[Weights]:
    """Return the weights of every convolution in the order of the graph."""
    try:
        graph = onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"The graph {path} cannot be read: {error}.") from error
    values = {each.name: each for each in graph.initializer}

    found: list[Weights] = []
    for node in graph.node:
        names = [name for name in node.input[1:] if name]
        if node.op_type == "Conv" and all(name in values for name in names):
            weight, *bias = (_tensor(values[name]) for name in names)
            found.append((weight, bias[0] if bias else None))
    return found


def _tensor(stored: onnx.TensorProto) -> Tensor:
    return torch.tensor(onnx.numpy_helper.to_array(stored), dtype=torch.float32)


def _fill(network: PoseNetwork, convolutions: Sequence[Weights]) -> None:
    backbone = [layer for layer in network.backbone.modules() if isinstance(layer, nn.Conv2d)]
    norms = [layer for layer in network.backbone.modules() if isinstance(layer, nn.BatchNorm2d)]
    head: Any = network.head
    pyramid = [head.reduce]
    for lateral, merge in zip(head.laterals, head.merges, strict=True):
        pyramid += [lateral, merge[0], merge[1]]
    count = len(backbone) + len(pyramid)
    if len(convolutions) != count + 12:
        raise ValueError(f"it has {len(convolutions)} convolutions, not {count + 12}")
    first, *rest = convolutions[: len(backbone)]
    for layer, norm, weights in zip(backbone, norms, [_for_our_input(first), *rest], strict=True):
        _put(layer, norm, weights)
    outputs = [head.last[0], head.last[1], head.final_layer]
    own_norms = {merge[1]: merge[2] for merge in [*head.merges, head.last]}
    chosen = [*convolutions[len(backbone) : count], *convolutions[_HEATMAPS]]
    for layer, weights in zip([*pyramid, *outputs], chosen, strict=True):
        _put(layer, own_norms.get(layer), weights)


def _for_our_input(weights: Weights) -> Weights:
    """Fold the change of normalisation, from ImageNet's to -1 … 1, into the first convolution."""
    weight, bias = weights
    mean, std = (torch.tensor(each)[:, None, None] for each in (MEAN, STD))
    moved = (weight * (2 * mean - 1)).sum((1, 2, 3))
    return weight * 2 * std, moved if bias is None else bias + moved


def _put(layer: nn.Conv2d, norm: nn.BatchNorm2d | None, weights: Weights) -> None:
    weight, bias = weights
    if layer.weight.shape != weight.shape:
        shapes = tuple(weight.shape), tuple(layer.weight.shape)
        raise ValueError("a weight has the shape {} where {} was expected".format(*shapes))
    fill_convolution(layer, norm, weight, bias)
