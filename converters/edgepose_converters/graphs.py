"""Networks as the graphs of a bundle: pixels in, heat-maps out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgepose.models import PPN
from edgepose.models.imagenet import MEAN, STD


class PixelNormalisation(nn.Module):
    """uint8 BGR ``(N, S, S, 3)`` to float32 normalised RGB ``(N, 3, S, S)``."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, STD))
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the normalised image."""
        planes = image.permute(0, 3, 1, 2)[:, [2, 1, 0]]
        return planes.float() * self.scale + self.shift


class ImageGraph(nn.Module):
    """A pose network from pixels to heat-maps ``(N, K, h, h)``: the graphs ``head``, ``body``."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.normalisation = PixelNormalisation()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return the heat-maps."""
        heatmaps: Tensor = self.network(self.normalisation(image))
        return heatmaps


class StepGraph(nn.Module):
    """One step of a PPN from pixels to final and preliminary heat-maps: the graph ``step``."""

    def __init__(self, ppn: PPN) -> None:
        super().__init__()
        self.normalisation = PixelNormalisation()
        self.ppn = PPN(None, ppn.body, ppn.ppu, ppn.skip)

    def forward(self, image: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Return the final and the preliminary heat-maps, both ``(N, K, h, h)``."""
        return self.ppn.step(self.normalisation(image), previous)


class PropagateGraph(nn.Module):
    """The propagation unit of a PPN by itself: the graph ``propagate``."""

    def __init__(self, ppn: PPN) -> None:
        super().__init__()
        self.ppu = ppn.ppu
        self.skip = ppn.skip

    def forward(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return the final heat-maps ``(N, K, h, h)``."""
        propagated: Tensor = self.ppu(preliminary, previous)
        return preliminary + propagated if self.skip else propagated
