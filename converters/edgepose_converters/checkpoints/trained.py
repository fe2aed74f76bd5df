"""Networks out of the checkpoints that training writes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from edgepose.training.config.settings import TrainConfig
from edgepose.training.tasks.networks import load_trained
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import Skeleton


@dataclass(frozen=True)
class TrainedModel:
    """A trained network with what is needed to use it.

    Attributes:
        network: a PPN, a DKD, or a network for single images, in evaluation mode.
        skeleton: the joints of its heat-maps.
        input_size: side of a region in the pixels that the grid of the heat-maps counts.
        heatmap: the grid of the heat-maps.
        training: what it was trained on, and how.
    """

    network: nn.Module
    skeleton: Skeleton
    input_size: int
    heatmap: HeatmapSpec
    training: Mapping[str, Any]

    @property
    def view(self) -> InputView:
        """What the network of every frame sees of a region: all of it in a square, or less.

        A head that sees another part makes its images of the same ones.
        """
        body = getattr(self.network, "body", getattr(self.network, "encoder", self.network))
        view: InputView | None = getattr(body, "view", None)
        return view or InputView(self.input_size, self.input_size)


def load_model(path: str | Path) -> TrainedModel:
    """Read a checkpoint.

    Raises:
        CheckpointError: it is missing or damaged, or its weights do not fit its configuration.
    """
    trained = load_trained(path)
    config = trained.config
    return TrainedModel(
        network=trained.module,
        skeleton=config.joints,
        input_size=_region(config),
        heatmap=_heatmap(config),
        training=_without_paths(trained.training),
    )


def _region(config: TrainConfig) -> int:
    """Return the side of a region at the size that training ended with."""
    view = config.crop_view
    return round(view.width / view.window[0])


def _heatmap(config: TrainConfig) -> HeatmapSpec:
    """Return the grid of heat-maps of a region: that of the targets, or the middle of it."""
    size, targets = _region(config), config.targets
    return HeatmapSpec(size // targets.stride, float(targets.stride), float(targets.offset))


def _without_paths(training: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out where the data lay: it means nothing on another machine."""
    kept = dict(training)
    kept["sources"] = [
        {name: value for name, value in source.items() if name != "path"}
        for source in kept.get("sources", [])
    ]
    return kept
