"""A unary network with message passing behind it, to be trained end to end."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn

from edgepose.models.thin_slicing.message_passing import MessagePassing


class RespondingNetwork(Protocol):
    """What can give its responses before the activation; `PoseNetwork` does."""

    def features(self, image: Tensor) -> Tensor:
        """Return what the last layer sees."""

    def respond(self, features: Tensor) -> Tensor:
        """Return what the last layer says."""


class SliceNetwork(nn.Module):
    """Scores of all frames of slices.

    Called on single images it is its unary network, which is how the paper measures what end-to-end
    training does to that network alone.

    Args:
        unary: (N, 3, S, S) to heat-maps (N, K, h, w).
        messages: graph and springs.
        before_sigmoid: exchange messages about what `unary`, a `PoseNetwork` whose heat-maps end
            in a sigmoid, says before it. The published network has none, and its hinge loss asks
            for scores that a sigmoid can reach only where it has no slope.
    """

    def __init__(
        self, unary: nn.Module, messages: MessagePassing, *, before_sigmoid: bool = False
    ) -> None:
        super().__init__()
        self.unary = unary
        self.messages = messages
        self.before_sigmoid = before_sigmoid

    def forward(self, images: Tensor) -> Tensor:
        """Return the unary heat-maps (N, K, h, w) of images (N, 3, S, S)."""
        heatmaps: Tensor = self.unary(images)
        return heatmaps

    def potentials(self, images: Tensor) -> Tensor:
        """Return what messages are exchanged about: float32 (N, K, h, w) of images (N, 3, S, S).

        Those are the heat-maps, or the :func:`linearised_sigmoid` responses.
        """
        if not self.before_sigmoid:
            return self.forward(images).float()
        network: RespondingNetwork = self.unary  # type: ignore[assignment]  # as asked for
        return linearised_sigmoid(network.respond(network.features(images)).float())

    def heatmaps(self, potentials: Tensor) -> Tensor:
        """Return the heat-maps that potentials, refined or not, stand for."""
        return sigmoid_of_linearised(potentials) if self.before_sigmoid else potentials

    def scores(self, frames: Tensor, grids: Tensor | None) -> Tensor:
        """Return the scores (B, T, K, h, w) of slices.

        Args:
            frames: (B, T, 3, S, S).
            grids: see :meth:`MessagePassing.forward`.
        """
        potentials = self.potentials(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        scores: Tensor = self.messages(potentials, grids)
        return scores


def linearised_sigmoid(responses: Tensor) -> Tensor:
    """Return the sigmoid's tangent at 0, ``responses / 4 + 0.5``.

    Springs and margins mean the same as on heat-maps, but nothing saturates.
    """
    return responses / 4 + 0.5


def sigmoid_of_linearised(potentials: Tensor) -> Tensor:
    """Return the sigmoid of responses, given their :func:`linearised_sigmoid`."""
    return (4 * potentials - 2).sigmoid()
