"""Networks as the graphs of a bundle: pixels in, heat-maps out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgepose.models import DKD, PPN
from edgepose.models.backbones.imagenet import MEAN, STD
from edgepose.models.dkd.distillator import PoseKernels
from edgepose.models.dkd.network import Memory
from edgepose_converters.export.dkd_matching import match_by_rows
from edgepose_runtime.errors import ConfigError


class PixelNormalisation(nn.Module):
    """uint8 BGR ``(N, S, S, 3)`` to float32 normalised RGB ``(N, 3, S, S)``."""

    scale: Tensor
    shift: Tensor

    def __init__(self) -> None:
        super().__init__()
        mean, std = (torch.tensor(values).flip(0) for values in (MEAN, STD))
        self.register_buffer("scale", 1 / (255 * std), persistent=False)
        self.register_buffer("shift", -mean / std, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Return the normalised image."""
        # In the order in which pixels lie: runtimes then change it within the first convolution.
        pixels = image.float() * self.scale + self.shift
        return pixels.permute(0, 3, 1, 2)[:, [2, 1, 0]]


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


class KernelStepGraph(nn.Module):
    """One step of a DKD from pixels to heat-maps and new kernels: the graph ``step``."""

    def __init__(self, dkd: DKD) -> None:
        super().__init__()
        self.normalisation = PixelNormalisation()
        self.dkd = DKD(dkd.encoder, dkd.memory, skip=dkd.skip)

    def forward(
        self, image: Tensor, kernels: Tensor, start: Tensor, fresh: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return heat-maps, new kernels, and what the encoder alone makes of the image.

        Args:
            image: uint8 BGR ``(N, S, S, 3)``.
            kernels: of the frame before.
            start: heat-maps ``(N, K, h, h)`` in place of matched ones.
            fresh: ``(N, 1, 1, 1)``, above 0 for ``start``.
        """
        features = self.dkd.encode(self.normalisation(image))
        seen = self._memory.project(features)
        matched, alone = self._match(features, seen, kernels)
        heatmaps = torch.where(fresh > 0, start, matched)
        return heatmaps, self._memory.distil(seen, heatmaps, kernels), alone

    def _match(self, features: Tensor, seen: Tensor, kernels: Tensor) -> tuple[Tensor, Tensor]:
        """Return the matched heat-maps and the encoder's.

        The last layer stands in the graph for each of them: an activation that runtimes fuse into
        it costs nothing, and by itself more than the layer.
        """
        encoder, memory = self.dkd.encoder, self._memory
        if torch.onnx.is_in_onnx_export() and isinstance(memory, PoseKernels):
            found = match_by_rows(memory, seen, kernels)
        else:
            found = memory.match(seen, kernels)
        if not self.dkd.skip:
            return found, encoder.classify(features)
        return encoder.activate(encoder.respond(features) + found), encoder.classify(features)

    @property
    def _memory(self) -> Memory:
        memory = self.dkd.memory
        if memory is None:
            raise ConfigError("A DKD without kernels is exported as the encoder that it is.")
        return memory
