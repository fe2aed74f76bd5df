"""What networks see of square regions: images resampled by matrices, which every runtime has."""

from __future__ import annotations

import torch
from torch import Tensor

from edgepose_runtime.geometry.input_view import InputView


def seen(image: Tensor, view: InputView) -> Tensor:
    """Return what a view shows of regions, given as images ``(..., C, S, S)``: ``(..., C, H, W)``.

    What lies outside a region is what is seen at its border.
    """
    size = image.shape[-1]
    across, along = (
        resampling(pixels, size, pixels / (size * part)).to(image)
        for pixels, part in zip((view.width, view.height), view.window, strict=True)
    )
    viewed: Tensor = along @ image @ across.T
    return viewed


def resampling(pixels: int, size: int, zoom: float) -> Tensor:
    """Return the ``(pixels, size)`` matrix that resamples an axis around its middle, linearly."""
    places = (torch.arange(pixels, dtype=torch.float64) - (pixels - 1) / 2) / zoom + (size - 1) / 2
    places = places.clamp(0, size - 1)
    return (1 - (places[:, None] - torch.arange(size)).abs()).clamp(min=0).float()
