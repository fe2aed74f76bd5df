"""Springs drawn on a skeleton: where each joint rests seen from its neighbour, and how firmly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.testing import standing_person
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.thin_slicing.springs import Springs

#: Ellipses are drawn where a displacement costs this much more than rest does.
COST = 0.1


def plot_springs(springs: Springs, path: Path) -> None:
    """Write a picture with an ellipse for each edge around where its spring rests.

    The colour shows the weight of the edge's messages.

    Raises:
        ConfigError: the springs are not for penn13, which is what can be drawn.
    """
    if springs.graph.skeleton.name != PENN13.name:
        raise ConfigError(f"Springs are drawn on penn13, not on {springs.graph.skeleton.name}.")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    figure = Figure(figsize=(6, 7))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot(aspect="equal", title=f"Springs: ellipses cost {COST:g}")
    cells = springs.heatmap_size
    joints = standing_person((cells / 2, cells / 2), 0.66 * cells)[:, :2]
    weights = springs.spatial_weight / max(float(springs.spatial_weight.max()), 1e-9)
    for (first, second), spring, weight in zip(
        springs.graph.edges, springs.spatial, weights, strict=True
    ):
        rest, radii = rest_of(spring)
        middle = joints[second] + rest
        colour = (float(weight), 0.2, 1 - float(weight))
        axes.plot(*joints[[second, first]].T, color="0.8", linewidth=3, zorder=0)
        axes.plot(*np.stack([joints[second], middle]).T, color=colour, linewidth=0.8)
        axes.add_patch(Ellipse(middle.tolist(), *(2 * radii), fill=False, color=colour))
    axes.plot(*joints.T, "ko", markersize=4)
    axes.set(xlim=(0, cells), ylim=(cells, 0), xlabel="cells (red: counts most)")
    figure.savefig(path, dpi=110)


def rest_of(spring: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rest displacement (x, y) of a spring (4,), and how far ``COST`` reaches."""
    stiffness, slope = spring[[0, 2]].astype(np.float64), spring[[1, 3]].astype(np.float64)
    return -slope / (2 * stiffness), np.sqrt(COST / stiffness)
