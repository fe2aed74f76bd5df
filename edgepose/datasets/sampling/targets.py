"""Gaussian heat-map targets and their weights, rendered on the training device."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgepose_runtime.errors import ConfigError

TRUNCATION = 3.0  # in deviations


@dataclass(frozen=True)
class TargetSettings:
    """The geometry of the heat-maps.

    Attributes:
        stride: crop pixels per cell.
        offset: crop pixel at the centre of cell 0; (stride − 1) / 2 makes cells symmetric under
            mirroring, 0 is HRNet's convention.
        sigma_pixels: deviation of the Gaussian in pixels of a 256 × 256 crop.
        subpixel: centre the Gaussian on the joint itself; False rounds it to a cell as HRNet does.
        outside_weight: weight of the empty map of a joint known to lie outside the crop.
    """

    stride: int = 4
    offset: float = 1.5
    sigma_pixels: float = 8.0
    subpixel: bool = True
    outside_weight: float = 0.5

    def __post_init__(self) -> None:
        if self.stride < 1 or self.sigma_pixels <= 0 or self.outside_weight < 0:
            raise ConfigError(
                f"Targets need a positive stride and deviation and a weight of at least 0; got "
                f"{self}."
            )

    def sigma_cells(self, size: int) -> float:
        """The deviation in cells of a size × size crop: a constant share of the crop."""
        return self.sigma_pixels * size / 256 / self.stride


def render_targets(keypoints: Tensor, size: int, settings: TargetSettings) -> tuple[Tensor, Tensor]:
    """Heat-maps of known joints.

    Args:
        keypoints: (..., K, 3) x, y in crop pixels and a weight; a weight of 0 means unknown.
        size: the crop's side in pixels.
        settings: the geometry.

    Returns:
        targets float32 (..., K, h, w) with peak 1, and weights float32 (..., K): the given ones for
        joints inside, `outside_weight` times them for joints outside, whose maps are empty.
    """
    cells = size // settings.stride
    place, weight = keypoints[..., :2], keypoints[..., 2]
    mean = (place - settings.offset) / settings.stride
    if not settings.subpixel:
        mean = torch.floor(mean + 0.5)
    inside = ((place >= -0.5) & (place <= size - 0.5)).all(-1)
    axis = torch.arange(cells, dtype=torch.float32, device=keypoints.device)
    sigma = settings.sigma_cells(size)
    squared = ((axis - mean[..., None]) / sigma) ** 2  # (..., K, 2, cells)
    exponent = squared[..., 1, :, None] + squared[..., 0, None, :]
    drawn = (inside & (weight > 0))[..., None, None] & (exponent <= TRUNCATION**2)
    targets = torch.where(drawn, torch.exp(-0.5 * exponent), 0.0)
    return targets, torch.where(inside, weight, settings.outside_weight * weight)
