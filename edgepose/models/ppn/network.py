"""PosePropagationNet: a head starts the heat-maps, a light body and the PPU propagate them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Realign = Callable[[Tensor, int], Tensor]


class PPN(nn.Module):
    """PosePropagationNet (PPN, section "Structure").

    Images are float32 RGB normalised by ImageNet's mean and deviation; heat-maps are float32,
    about 0 to 1.

    Args:
        head: the network that starts a sequence, or None where the body does that too.
        body: the network that looks at every frame.
        ppu: ``(preliminary, previous) -> propagated``, all ``(B, K, h, w)``.
        skip: add the body's heat-maps to the propagated ones; without it is the published
            "w/o SC" form.
    """

    def __init__(
        self, head: nn.Module | None, body: nn.Module, ppu: nn.Module, skip: bool = True
    ) -> None:
        super().__init__()
        self.head = head
        self.body = body
        self.ppu = ppu
        self.skip = skip

    def initialise(self, image: Tensor) -> Tensor:
        """Return the heat-maps ``(B, K, h, w)`` that a sequence starts from."""
        network = self.body if self.head is None else self.head
        heatmaps: Tensor = network(image)
        return heatmaps

    def step(self, image: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        """Return one frame's heat-maps and the body's preliminary ones, both ``(B, K, h, w)``.

        Args:
            image: ``(B, 3, S, S)``.
            previous: heat-maps of the frame before, or the head's for the first frame.
        """
        preliminary: Tensor = self.body(image)
        return self.propagate(preliminary, previous), preliminary

    def propagate(self, preliminary: Tensor, previous: Tensor) -> Tensor:
        """Return the final heat-maps from the body's and the previous ones."""
        propagated: Tensor = self.ppu(preliminary, previous)
        return preliminary + propagated if self.skip else propagated

    def forward(
        self, clip: Tensor, realign: Realign | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the head's, the final and the preliminary heat-maps of a clip.

        The first frame goes through the head, and then through body and PPU like every other.

        Args:
            clip: ``(B, T, 3, S, S)``.
            realign: ``realign(previous, t)`` moves the heat-maps of frame t - 1 onto the crop of
                frame t, for t from 1; None where all frames share one crop.

        Returns:
            ``(B, K, h, w)``, ``(B, T, K, h, w)`` and ``(B, T, K, h, w)``.
        """
        head = previous = self.initialise(clip[:, 0])
        # The body sees all frames at once: they do not depend on each other.
        preliminary = self.body(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        final = []
        for t in range(clip.shape[1]):
            if realign is not None and t > 0:
                previous = realign(previous, t)
            previous = self.propagate(preliminary[:, t], previous)
            final.append(previous)
        return head, torch.stack(final, 1), preliminary
