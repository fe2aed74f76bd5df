"""RTMPose-s as MMDeploy publishes it: a graph with batch norms folded and linear layers turned.

Convolutions and products stand in the graph in the order in which the network computes them; other
parameters keep their names, or have a shape of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import torch
from google.protobuf.message import DecodeError
from torch import Tensor, nn

from edgepose.models import PoseNetwork
from edgepose.models.backbones.cspnext import CSPNeXt, centre_features
from edgepose.models.pose.coordinate_head import GRID, SCORE_POWER, VIEW, CoordinateHead, Grid
from edgepose.models.pose.rtmpose import RTMPose
from edgepose.models.pose.views import seen
from edgepose.training.checkpoint import load_weights
from edgepose.training.tasks.networks import joint_mix
from edgepose_converters.checkpoints.importing import (
    CONVERTED,
    MATCHED,
    UNUSED,
    ImportedKey,
    ImportReport,
)
from edgepose_runtime.errors import CheckpointError
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import HALPE26, Skeleton

RTMPOSE_FORM = "rtmpose"
#: Before the file of a head, in place of a checkpoint of ours.
RTMPOSE_PREFIX = "rtmpose:"
#: What a model card says of it.
RTMPOSE_CARD = "RTMPose-s (MMPose, Apache-2.0), its curves as heat-maps of the skeleton's joints"

# Where the weights of RTMPose's head stand in ours.
_PLACES = {
    "head.final_layer.weight": "head.tokens.weight",
    "head.final_layer.bias": "head.tokens.bias",
    "head.cls_x.weight": "head.final_layer.cls_x.weight",
    "head.cls_y.weight": "head.final_layer.cls_y.weight",
}
_GAMMA = "head.gau.gamma"
# As a head before another body. A score of 0.16, from which on `ppn-stable` trusts a joint, becomes
# 0.54: about the threshold of bodies that are trained with Gaussians of height 1.
_HEAD_SCORE_POWER = 1 / 3


def import_rtmpose(path: str | Path) -> tuple[RTMPose, ImportReport]:
    """Read ``rtmpose-s-halpe26-256x192.onnx`` as a network.

    Args:
        path: the published graph.

    Returns:
        The network in evaluation mode, with the joints of Halpe-26, and what became of every
        constant of the graph: ``matched``, ``converted`` (linear layers, which a graph keeps
        turned) or ``unused`` (numbers that the network computes).

    Raises:
        CheckpointError: the file is missing or damaged, or another network.
    """
    graph = _read(Path(path))
    network = RTMPose(HALPE26.num_joints)
    wanted = network.state_dict()
    stored = {
        each.name: torch.from_numpy(onnx.numpy_helper.to_array(each).copy())
        for each in graph.initializer
    }
    places = dict(_places(graph, network, stored))
    values: dict[str, Tensor] = {}
    fates = [_fate(key, value, places.get(key), wanted, values) for key, value in stored.items()]
    missing = sorted(set(wanted) - set(values))
    if missing:
        raise CheckpointError(
            f"The graph {path} is not RTMPose-s: it lacks {len(missing)} of the network's weights, "
            f"{missing[0]!r} first."
        )
    network.load_state_dict(values)
    return network.eval(), ImportReport(tuple(fates))


def load_rtmpose(path: str | Path) -> RTMPose:
    """Read RTMPose-s from a published graph, or from weights that were made of one or trained on.

    Raises:
        CheckpointError: the file is missing or damaged, or of another network.
    """
    if Path(path).suffix == ".onnx":
        return import_rtmpose(path)[0]
    network = RTMPose(HALPE26.num_joints)
    try:
        network.load_state_dict(load_weights(path).values)
    except RuntimeError as error:
        raise CheckpointError(f"The weights {path} are not those of RTMPose-s: {error}") from error
    return network.eval()


def rtmpose_network(
    path: str | Path,
    skeleton: Skeleton,
    pictures: Tensor | None = None,
    view: InputView = VIEW,
    grid: Grid = GRID,
    score_power: float = SCORE_POWER,
) -> PoseNetwork:
    """Return RTMPose-s as a network from images to heat-maps of a skeleton's joints.

    Args:
        path: see :func:`load_rtmpose`.
        skeleton: the joints; each is one of Halpe-26 or a mean of several.
        pictures: network input to take the means of features from, without which the network loses
            accuracy in bfloat16; see :func:`centre_features`.
        view: what it sees of a square region.
        grid: the cells of its heat-maps in the region.
        score_power: exponent from its scores to the peaks of the heat-maps.

    Raises:
        CheckpointError: the file is missing or damaged, or of another network.
    """
    head = CoordinateHead(CSPNeXt.out_channels, skeleton.num_joints, view, grid, score_power)
    network = PoseNetwork(CSPNeXt(centred=True), head, CSPNeXt.stride // 2**head.stages)
    published = load_rtmpose(path).state_dict()
    values = {_PLACES.get(name, name): value for name, value in published.items()}
    values["head.final_layer.mix"] = joint_mix(HALPE26, skeleton)
    network.load_state_dict({**network.state_dict(), **values})
    network.eval()
    if pictures is not None:
        centre_features(network.backbone, seen(pictures, view))
    return network


def rtmpose_head(
    path: str | Path,
    skeleton: Skeleton,
    view: InputView,
    grid: Grid,
    pictures: Tensor | None = None,
) -> PoseNetwork:
    """Return RTMPose-s as what starts the sequences of another body.

    Args:
        path: see :func:`load_rtmpose`.
        skeleton: the joints of the body's heat-maps.
        view: what the body, and so the head, is given of a region.
        grid: the cells of the body's heat-maps.
        pictures: as for :func:`rtmpose_network`.

    Raises:
        CheckpointError: the file is missing or damaged, or of another network.
    """
    own = view if view.shape == VIEW.shape else VIEW
    network = rtmpose_network(path, skeleton, pictures, own, grid, _HEAD_SCORE_POWER)
    network.shown = view.window
    return network


def _read(path: Path) -> onnx.GraphProto:
    try:
        return onnx.load(path).graph
    except (OSError, DecodeError) as error:
        raise CheckpointError(f"The graph {path} cannot be read: {error}.") from error


def _places(
    graph: onnx.GraphProto, network: RTMPose, stored: dict[str, Tensor]
) -> Iterator[tuple[str, str]]:
    """Pair the graph's constants with the network's parameters, both by name."""
    wanted = network.state_dict()
    for key, value in stored.items():
        if key in wanted:
            yield key, key
        elif value.numel() == wanted[_GAMMA].numel() and value.ndim == 4:
            yield key, _GAMMA
    kinds = {"Conv": nn.Conv2d, "MatMul": nn.Linear}
    for operator, kind in kinds.items():
        names = [name for name, layer in network.named_modules() if isinstance(layer, kind)]
        nodes = [
            node
            for node in graph.node
            if node.op_type == operator and all(key in stored for key in node.input[1:])
        ]
        for name, node in zip(names, nodes, strict=False):
            yield from zip(node.input[1:], (f"{name}.weight", f"{name}.bias"), strict=False)


def _fate(
    key: str,
    value: Tensor,
    target: str | None,
    wanted: dict[str, Tensor],
    values: dict[str, Tensor],
) -> ImportedKey:
    """Note what a constant becomes, and put it among the network's values if it fits."""
    if target is None:
        return ImportedKey(key, "", UNUSED, tuple(value.shape))
    shape = wanted[target].shape
    turned = value.ndim == 2 and target.endswith(".weight")
    taken = value.T.contiguous() if turned else value
    if taken.numel() != shape.numel() or (target != _GAMMA and taken.shape != shape):
        return ImportedKey(key, "", UNUSED, tuple(value.shape))
    values[target] = taken.reshape(shape).float()
    changed = turned or value.shape != shape
    return ImportedKey(key, target, CONVERTED if changed else MATCHED, tuple(shape))
