"""A unary network with message passing behind it, to be trained end to end (SPEC 6.6)."""

from __future__ import annotations

from torch import Tensor, nn

from edgepose.models.slicing import MessagePassing


class SliceNetwork(nn.Module):
    """Scores of all frames of slices.

    Called on single images it is its unary network, which is how the paper measures what end-to-end
    training does to that network alone.

    Args:
        unary: (N, 3, S, S) to heat-maps (N, K, h, w).
        messages: graph and springs.
    """

    def __init__(self, unary: nn.Module, messages: MessagePassing) -> None:
        super().__init__()
        self.unary = unary
        self.messages = messages

    def forward(self, images: Tensor) -> Tensor:
        """Return the unary heat-maps (N, K, h, w) of images (N, 3, S, S)."""
        heatmaps: Tensor = self.unary(images)
        return heatmaps

    def scores(self, frames: Tensor, grids: Tensor | None) -> Tensor:
        """Return the scores (B, T, K, h, w) of slices.

        Args:
            frames: (B, T, 3, S, S).
            grids: see :meth:`MessagePassing.forward`.
        """
        heatmaps = self.unary(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        scores: Tensor = self.messages(heatmaps.float(), grids)
        return scores
