"""Networks out of the checkpoints that training writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgepose.models import PPN, build_network, build_ppn
from edgepose.training.checkpoint import load_checkpoint
from edgepose_converters.export import Geometry
from edgepose_runtime.errors import CheckpointError, ConfigError
from edgepose_runtime.manifest import HeatmapSpec
from edgepose_runtime.skeletons import Skeleton, get_skeleton


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with what is needed to use it.

    Attributes:
        network: a PPN, or a network for single images, in evaluation mode.
        skeleton: the joints of its heat-maps.
        input_size: side of the image in pixels.
        heatmap: the grid of the heat-maps.
        training: what it was trained on, and how.
    """

    network: PPN | nn.Module
    skeleton: Skeleton
    input_size: int
    heatmap: HeatmapSpec
    training: Mapping[str, Any]

    @property
    def geometry(self) -> Geometry:
        """The sizes of the graphs that can be exported from it."""
        return Geometry(self.input_size, self.heatmap.size, self.skeleton.num_joints)


def load_trained(path: str | Path) -> TrainedModel:
    """Read a checkpoint; averaged weights are used where it has them.

    Raises:
        CheckpointError: it is missing or damaged, or its weights do not fit its configuration.
    """
    content = load_checkpoint(path)
    try:
        config = content["config"]
        skeleton = get_skeleton(config["skeleton"])
        input_size, heatmap = _geometry(config)
        network = _network(config, skeleton)
        network.load_state_dict(content.get("ema") or content["model"])
    except (KeyError, IndexError, TypeError, RuntimeError, ConfigError) as error:
        raise CheckpointError(
            f"The checkpoint {path} does not fit its own configuration: {error}"
        ) from error
    training = _without_paths(content.get("training", {}))
    return TrainedModel(network.eval(), skeleton, input_size, heatmap, training)


def _network(config: Mapping[str, Any], skeleton: Skeleton) -> nn.Module:
    if config.get("ppn") is not None:
        return build_ppn(config["ppn"], skeleton.num_joints)
    return build_network(config["network"], skeleton.num_joints)


def _geometry(config: Mapping[str, Any]) -> tuple[int, HeatmapSpec]:
    """Return the size of the last phase of training, and the grid that its targets had."""
    size, targets = int(config["phases"][-1]["size"]), config["targets"]
    stride, offset = targets["stride"], targets["offset"]
    return size, HeatmapSpec(size // stride, float(stride), float(offset))


def _without_paths(training: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where the data lay: it means nothing on another machine."""
    kept = dict(training)
    if "sources" in kept:
        kept["sources"] = [
            {name: value for name, value in source.items() if name != "path"}
            for source in kept["sources"]
        ]
    return kept
