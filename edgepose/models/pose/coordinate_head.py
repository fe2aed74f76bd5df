"""RTMPose's head as a head of heat-maps: each is a curve over columns times one over rows."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgepose.models.backbones.cspnext import CSPNeXt
from edgepose.models.pose.rtmpose import (
    BINS_PER_PIXEL,
    DEVIATIONS,
    HIDDEN,
    IMAGE_SIZE,
    RTMCCHead,
)
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.poses.skeletons import HALPE26

#: What RTMPose sees of a square region: a box that is 1.15 times enlarged to a square is 1.25 times
#: enlarged in it, and what is outside the frame is black, as in its own training.
VIEW = InputView(*IMAGE_SIZE, window=(0.81525, 1.087), background=(0, 0, 0))

#: Deviation of a joint's Gaussian in parts of the region, as our other networks have it.
DEVIATION = 8 / 256

#: From RTMPose's score to the peak of a heat-map: 0.3, from where on it is trusted, becomes 0.55.
SCORE_POWER = 0.5


class Grid(NamedTuple):
    """Where the cells of heat-maps lie in a region.

    Attributes:
        region: side of the region in pixels.
        cells: along each side.
        stride: pixels from one cell to the next.
        offset: pixel of the first cell's centre.
    """

    region: int = 192
    cells: int = 48
    stride: float = 4.0
    offset: float = 1.5


#: That of the shipped networks.
GRID = Grid()


class CoordinateHead(nn.Module):
    """Features ``(B, 512, 8, 6)`` to heat-maps ``(B, K, h, h)`` of a square region.

    The two curves of a joint are resampled to the cells, made as wide as what our networks are
    trained for, and multiplied. RTMPose's own score is the lower of the two maxima; the peak is a
    power of it, so that a bundle's score threshold suits both its networks.

    Args:
        channels: of the features.
        joints: K. Which of RTMPose's joints make up each of them is part of the weights.
        view: what RTMPose sees of the region.
        grid: the cells of the heat-maps.
        score_power: see :class:`CurveProduct`.
    """

    def __init__(
        self,
        channels: int,
        joints: int,
        view: InputView = VIEW,
        grid: Grid = GRID,
        score_power: float = SCORE_POWER,
    ) -> None:
        super().__init__()
        self.view = view
        #: How often the stride of the features is halved.
        self.stages = round(math.log2(CSPNeXt.stride / grid.stride))
        published = RTMCCHead(HALPE26.num_joints)
        self.tokens = nn.Conv2d(channels, HALPE26.num_joints, 7, padding=3)
        self.mlp, self.gau = published.mlp, published.gau
        self.final_layer = CurveProduct(joints, view, grid, score_power)

    def features(self, features: Tensor) -> Tensor:
        """Return a vector for each of RTMPose's joints, ``(B, 26, 256)``."""
        joints: Tensor = self.gau(self.mlp(self.tokens(features).flatten(2)))
        return joints


class CurveProduct(nn.Module):
    """Vectors ``(B, 26, 256)`` to heat-maps ``(B, K, h, h)``.

    Args:
        joints, view, grid: as for :class:`CoordinateHead`.
        score_power: exponent from RTMPose's score to the peak of a heat-map.
    """

    mix: Tensor

    def __init__(self, joints: int, view: InputView, grid: Grid, score_power: float) -> None:
        super().__init__()
        self.score_power = score_power
        columns, rows = (side * BINS_PER_PIXEL for side in IMAGE_SIZE)
        self.cls_x = nn.Linear(HIDDEN, columns, bias=False)
        self.cls_y = nn.Linear(HIDDEN, rows, bias=False)
        self.register_buffer("mix", torch.eye(joints, HALPE26.num_joints))
        for axis, pixels, own, part in zip("xy", IMAGE_SIZE, DEVIATIONS, view.window, strict=True):
            cells = _cells(pixels, own, pixels / (grid.region * part), grid)
            self.register_buffer(f"cells_{axis}", cells, persistent=False)

    def forward(self, vectors: Tensor) -> Tensor:
        """Return the heat-maps."""
        columns, rows = (
            torch.matmul(self.mix, curves(vectors)) for curves in (self.cls_x, self.cls_y)
        )
        score = torch.minimum(columns.amax(-1), rows.amax(-1)).clamp(0, 1).pow(self.score_power)
        along_x = _highest_at_one(_highest_at_one(columns).square() @ self.get_buffer("cells_x").T)
        along_y = _highest_at_one(_highest_at_one(rows).square() @ self.get_buffer("cells_y").T)
        return score[..., None, None] * along_y[..., :, None] * along_x[..., None, :]


def _highest_at_one(found: Tensor) -> Tensor:
    """Return what is positive of curves, scaled to a maximum of 1."""
    positive = found.relu()
    return positive / positive.amax(-1, keepdim=True).clamp(min=1e-6)


def _cells(pixels: int, own: float, zoom: float, grid: Grid) -> Tensor:
    """Return the ``(h, bins)`` matrix from a squared curve to the cells of an axis.

    A Gaussian of the deviation `own`, squared so that what is nearly nothing vanishes, becomes one
    of `DEVIATION`, or as little wider as can be.

    Args:
        pixels: of the image along the axis.
        own: deviation of RTMPose's curves in pixels of the image.
        zoom: pixels of the image per pixel of the region.
        grid: the cells.
    """
    wanted = (DEVIATION * grid.region * zoom) ** 2
    added = max(wanted - own**2 / 2, (0.5 * grid.stride * zoom) ** 2) ** 0.5
    cells = torch.arange(grid.cells, dtype=torch.float64) * grid.stride + grid.offset
    cells -= (grid.region - 1) / 2
    bins = torch.arange(pixels * BINS_PER_PIXEL, dtype=torch.float64) / BINS_PER_PIXEL
    distance = bins - (pixels - 1) / 2 - cells[:, None] * zoom
    return torch.exp(-0.5 * (distance / added) ** 2).float()
