"""Springs: what a graph of joints costs to stretch, and how much its messages count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.thin_slicing.distance import LEAST_STIFFNESS, check_springs
from edgepose_runtime.thin_slicing.graph import PoseGraph

Floats = NDArray[np.float32]
Normalisation = Literal["mean", "sum"]

#: Where the paper starts learning: an isotropic spring with its rest at the same cell.
INITIAL_SPRING = (0.01, 0.0, 0.01, 0.0)


@dataclass(frozen=True, slots=True, eq=False)
class Springs:
    """A graph with its parameters, in cells of heat-maps of one size.

    A message along the edge (i, j) of the graph to i costs a_x dx^2 + b_x dx + a_y dy^2 + b_y dy
    with (dx, dy) from j's cell to i's; the one to j costs the same of -(dx, dy). So the rest
    displacement of i from j is -b / 2a.

    Attributes:
        graph: who exchanges messages.
        spatial: float32 (E, 4), one spring for each edge.
        temporal: float32 (reach, K, 4), one for each joint and distance in time, (dx, dy) being
            its movement from the earlier to the later frame beyond that of the optical flow.
        spatial_weight: float32 (E,), what the two messages of an edge count; the paper has 1.
        temporal_weight: float32 (reach, K), the same in time.
        gain: float32 (K,), by which heat-maps are multiplied to become scores.
        bias: float32 (K,), what is added then.
        heatmap_size: cells along the side of the heat-maps that the springs are for.
        rounds: how many times all messages are computed from the scores of the round before.
        normalise: ``"mean"`` divides each sum by what its terms count, ``"sum"`` leaves it.
        exclude_reverse: what a joint sends to another leaves out what it got from there, as in
            exact inference on trees. The paper does not do that.
    """

    graph: PoseGraph
    spatial: Floats
    temporal: Floats
    spatial_weight: Floats
    temporal_weight: Floats
    gain: Floats
    bias: Floats
    heatmap_size: int = 64
    rounds: int = 3
    normalise: Normalisation = "mean"
    exclude_reverse: bool = False

    def __post_init__(self) -> None:
        edges, reach = len(self.graph.edges), self.graph.reach
        joints = self.graph.skeleton.num_joints
        check_springs(self.spatial, (edges, 4))
        check_springs(self.temporal, (reach, joints, 4))
        _check(self.spatial_weight, (edges,), "spatial_weight", positive=False)
        _check(self.temporal_weight, (reach, joints), "temporal_weight", positive=False)
        _check(self.gain, (joints,), "gain", positive=True)
        if self.bias.shape != (joints,) or not np.isfinite(self.bias).all():
            raise ConfigError(f"The bias must be {joints} finite numbers.")
        if self.rounds < 0 or self.normalise not in get_args(Normalisation):
            raise ConfigError(
                f"Springs need 0 or more rounds and one of {get_args(Normalisation)}; got "
                f"{self.rounds} and {self.normalise!r}."
            )


def initial_springs(graph: PoseGraph, *, heatmap_size: int = 64, rounds: int = 3) -> Springs:
    """Return the springs from which the paper starts: soft, and without direction."""
    edges, reach, joints = len(graph.edges), graph.reach, graph.skeleton.num_joints
    return Springs(
        graph,
        spatial=np.tile(np.array(INITIAL_SPRING, np.float32), (edges, 1)),
        temporal=np.tile(np.array(INITIAL_SPRING, np.float32), (reach, joints, 1)),
        spatial_weight=np.ones(edges, np.float32),
        temporal_weight=np.ones((reach, joints), np.float32),
        gain=np.ones(joints, np.float32),
        bias=np.zeros(joints, np.float32),
        heatmap_size=heatmap_size,
        rounds=rounds,
    )


def resized(springs: Springs, heatmap_size: int) -> Springs:
    """Return springs that do on heat-maps of another size what these do on their own.

    A cell that is s times as small makes a displacement s times as many cells: a shrinks by s
    squared and b by s.
    """
    scale = heatmap_size / springs.heatmap_size
    factors = np.array([scale**-2, 1 / scale] * 2, np.float32)
    least = np.array([LEAST_STIFFNESS, -np.inf] * 2, np.float32)
    return replace(
        springs,
        spatial=np.maximum(springs.spatial * factors, least),
        temporal=np.maximum(springs.temporal * factors, least),
        heatmap_size=heatmap_size,
    )


def signed(springs: Springs) -> Springs:
    """Return springs whose scores run from -1 to 1 where heat-maps do from 0 to 1.

    That is what the hinge's margin asks for. The springs are as strong against the scores as they
    were.
    """
    return replace(
        springs,
        gain=2 * springs.gain,
        bias=2 * springs.bias - 1,
        spatial=2 * springs.spatial,
        temporal=2 * springs.temporal,
    )


def _check(values: Floats, shape: tuple[int, ...], name: str, *, positive: bool) -> None:
    low = values > 0 if positive else values >= 0
    if values.shape != shape or not (np.isfinite(values) & low).all():
        least = "above 0" if positive else "from 0 up"
        raise ConfigError(f"{name} must be finite numbers {least} of shape {shape}.")
