"""What networks see of regions: images resampled by matrices, which every runtime has."""

from __future__ import annotations

import torch
from torch import Tensor

from edgepose_runtime.geometry.input_view import InputView


def seen(image: Tensor, view: InputView, shown: tuple[float, float] = (1.0, 1.0)) -> Tensor:
    """Return what a view shows of regions: ``(..., C, H, W)``.

    Args:
        image: of the regions, ``(..., C, rows, columns)``.
        view: what is wanted; what lies outside an image is what is seen at its border.
        shown: width and height of what the images show, in parts of the region's.
    """
    columns, rows = image.shape[-1], image.shape[-2]
    axes = zip((view.width, view.height), (columns, rows), view.window, shown, strict=True)
    across, along = (
        resampling(pixels, size, pixels / (size * part / whole)).to(image)
        for pixels, size, part, whole in axes
    )
    viewed: Tensor = along @ image @ across.T
    return viewed


def resampling(pixels: int, size: int, zoom: float) -> Tensor:
    """Return the ``(pixels, size)`` matrix that resamples an axis around its middle, linearly."""
    places = (torch.arange(pixels, dtype=torch.float64) - (pixels - 1) / 2) / zoom + (size - 1) / 2
    places = places.clamp(0, size - 1)
    return (1 - (places[:, None] - torch.arange(size)).abs()).clamp(min=0).float()
