"""Learning springs on windows of heat-maps that are not learned themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import torch

from edgepose.models.thin_slicing.message_passing import MessagePassing
from edgepose.models.thin_slicing.transforms import envelope_transform
from edgepose.training.springs.losses import choice_loss, hinge_loss
from edgepose.training.springs.windows import SliceWindows
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.thin_slicing.distance import LEAST_STIFFNESS
from edgepose_runtime.thin_slicing.graph import PoseGraph
from edgepose_runtime.thin_slicing.springs import Springs, initial_springs

Loss = Literal["choice", "hinge"]

#: Parameters of message passing that may stay as they are.
PARTS = ("spatial", "temporal", "spatial_weight", "temporal_weight", "gain", "bias")
#: How fast they are learned, in learning rates: springs are small numbers, weights logarithms.
_SPEED = {"spatial": 0.1, "spatial_weight": 3.0, "temporal_weight": 3.0}


@dataclass(frozen=True)
class SpringSettings:
    """How springs are learned.

    Attributes:
        steps: updates.
        batch: slices per update.
        length: frames per slice.
        learning_rate: of Adam; it falls to zero.
        loss: ``"choice"`` of the right cell, or the published ``"hinge"``.
        frozen: what is not learned; names of ``PARTS``.
        seed: of the samples.
    """

    steps: int = 160
    batch: int = 2
    length: int = 5
    learning_rate: float = 0.02
    loss: Loss = "choice"
    frozen: tuple[str, ...] = ("gain", "bias")
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.steps, self.batch, self.length) < 1 or not self.learning_rate > 0:
            raise ConfigError(f"Springs are learned with positive numbers only; got {self}.")
        unknown = sorted(set(self.frozen) - set(PARTS))
        if unknown:
            raise ConfigError(f"Message passing has no {unknown[0]!r}; it has {', '.join(PARTS)}.")


def measured_springs(
    graph: PoseGraph,
    windows: SliceWindows,
    *,
    strength: float = 0.5,
    spatial_weight: float = 0.1,
    temporal_weight: float = 1.0,
    stiffness: float = 0.3,
) -> Springs:
    """Return springs whose rest is the mean displacement of the joints, where learning starts.

    Args:
        graph: who exchanges messages.
        windows: annotated windows.
        strength: what one deviation from the mean displacement costs twice.
        spatial_weight: what messages within a frame count.
        temporal_weight: what messages in time count.
        stiffness: of springs in time, per squared cell of a 64x64 heat-map.
    """
    cells = windows.heatmaps.shape[-1]
    start = initial_springs(graph, heatmap_size=cells)
    spatial = np.array([_measured(windows, edge, strength) for edge in graph.edges], np.float32)
    temporal = start.temporal * 0
    temporal[..., ::2] = stiffness * (64 / cells) ** 2
    return replace(
        start,
        spatial=spatial.reshape(-1, 4),
        temporal=temporal,
        spatial_weight=start.spatial_weight * np.float32(spatial_weight),
        temporal_weight=start.temporal_weight * np.float32(temporal_weight),
    )


def learn_springs(
    windows: SliceWindows,
    start: Springs,
    settings: SpringSettings,
    report: Callable[[float], None] | None = None,
) -> Springs:
    """Return springs with which messages find the annotated joints better than from ``start``.

    Args:
        windows: heat-maps of the size that the springs are for.
        start: springs and graph to begin with.
        settings: how.
        report: called with the loss of each step.

    Raises:
        ConfigError: the windows do not reach as far as the graph, or have another size.
    """
    _require_fitting(windows, start, settings)
    rng = np.random.default_rng(settings.seed)
    passing = MessagePassing(start, envelope_transform)
    learned = [(n, p) for n, p in passing.named_parameters() if n not in settings.frozen]
    groups = [
        {"params": [p], "lr": settings.learning_rate * _SPEED.get(n, 1.0)} for n, p in learned
    ]
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: (1 - step / settings.steps) ** 0.5
    )
    for _ in range(settings.steps):
        maps, grids, joints = windows.draw(rng, settings.batch, settings.length, start.graph.reach)
        loss = slice_loss(passing(maps, grids), joints, settings.loss)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        passing.clamp()
        if report is not None:
            report(loss.item())
    return passing.springs()


def slice_loss(scores: torch.Tensor, joints: torch.Tensor, loss: Loss) -> torch.Tensor:
    """Return the loss of scores (B, T, K, h, w) against joints (B, T, K, 3) in cells.

    The hinge's radius is 12 pixels of the published 368-pixel crop of 46 cells: 1.5 cells there.
    """
    places, weights = joints[..., :2], joints[..., 2]
    scale = scores.shape[-1] / 46
    if loss == "choice":
        return choice_loss(scores, places, weights, spread=scores.shape[-1] / 46)
    return hinge_loss(scores, places, weights, radius=1.5 * scale)


def _measured(windows: SliceWindows, edge: tuple[int, int], strength: float) -> list[float]:
    first, second = (windows.joints[:, :, joint] for joint in edge)
    known = (first[..., 2] > 0) & (second[..., 2] > 0)
    if known.sum() < 2:
        return [LEAST_STIFFNESS, 0.0, LEAST_STIFFNESS, 0.0]
    moved = (first - second)[known][:, :2]
    stiff = (strength / (2 * moved.var(axis=0) + 1e-6)).clip(2 * LEAST_STIFFNESS, 1.0)
    rest = -2 * stiff * moved.mean(axis=0)
    return [float(stiff[0]), float(rest[0]), float(stiff[1]), float(rest[1])]


def _require_fitting(windows: SliceWindows, start: Springs, settings: SpringSettings) -> None:
    cells, frames = windows.heatmaps.shape[-1], windows.heatmaps.shape[1]
    if cells != start.heatmap_size or windows.reach < start.graph.reach:
        raise ConfigError(
            f"The springs are for heat-maps of {start.heatmap_size} cells and frames "
            f"{start.graph.reach} apart; the windows have {cells} cells and reach {windows.reach}."
        )
    if frames < settings.length:
        raise ConfigError(f"Slices of {settings.length} frames do not fit into {frames} frames.")
