"""Dynamic Kernel Distillation: kernels of the last frame are matched against this one."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from edgepose.models.dkd.distillator import ConvLstm, PoseKernels
from edgepose.models.pose.network import PoseNetwork

Memory = PoseKernels | ConvLstm
Corruption = Callable[[Tensor], Tensor]


class DKD(nn.Module):
    """A pose initialiser starts, then each frame is matched with the kernels of the one before.

    Images are float32 RGB normalised by ImageNet's mean and deviation, ``(B, 3, S, S)``; features
    are ``(B, F, h, w)`` and heat-maps ``(B, K, h, w)``, about 0 to 1, of an eighth of that size
    where published and a quarter in the edge form. What a stream remembers is one tensor,
    ``state``: the kernels k', ``(B, 256, 7, 7)`` where published and ``(B, 16, 5, 5)`` in the edge
    form; see `PoseKernels` and, for the ablation, `ConvLstm`. Kernels say what joints look like and
    not where they are, so they need no moving when the next frame is cropped elsewhere.

    Args:
        encoder: F, with the temporary 1x1 layer it was trained with on single images.
        memory: Φ, U, V and BN, or the LSTM; None for the ablation without kernels, in which the
            encoder's own heat-maps are the answer and the state is empty.
        initialiser: P, a network from image to heat-maps, or None where the encoder does that too.
        skip: what the kernels find adds to what the encoder sees, before its last activation, as
            PPN's skip connection does; the paper has them take its place.
    """

    def __init__(
        self,
        encoder: PoseNetwork,
        memory: Memory | None,
        initialiser: nn.Module | None = None,
        skip: bool = False,
    ) -> None:
        super().__init__()
        self.skip = skip
        self.initialiser = initialiser
        self.encoder = encoder
        self.memory = memory

    def initialise(self, image: Tensor) -> Tensor:
        """Return the heat-maps ``(B, K, h, w)`` that a sequence starts from."""
        network = self.encoder if self.initialiser is None else self.initialiser
        heatmaps: Tensor = network(image)
        return heatmaps

    def encode(self, image: Tensor) -> Tensor:
        """Return the features ``(B, F, h, w)`` of a frame: f = F(I)."""
        return self.encoder.features(image)

    def distil(self, features: Tensor, heatmaps: Tensor, state: Tensor | None = None) -> Tensor:
        """Return what to remember of a frame: k = Φ(f, h), ``(B, C, s, s)``.

        Args:
            features: ``(B, F, h, w)``.
            heatmaps: ``(B, K, h, w)`` of the same frame.
            state: what was remembered before; counts for the LSTM only.
        """
        if self.memory is None:
            return features[:, :0, :1, :1]
        return self.memory.distil(self.memory.project(features), heatmaps, state)

    def match(self, features: Tensor, state: Tensor) -> Tensor:
        """Return a frame's heat-maps ``(B, K, h, w)`` from its features and the last state."""
        if self.memory is None:
            return self.encoder.classify(features)
        matched = self.memory.match(self.memory.project(features), state)
        if not self.skip:
            return matched
        return self.encoder.activate(self.encoder.respond(features) + matched)

    def start(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat-maps and state of the first frame."""
        features = self.encode(image)
        heatmaps = self._first(image, features)
        return heatmaps, self.distil(features, heatmaps)

    def step(self, image: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """Return heat-maps and state of the next frame.

        Args:
            image: ``(B, 3, S, S)``.
            state: of the frame before.
        """
        features = self.encode(image)
        heatmaps = self.match(features, state)
        return heatmaps, self.distil(features, heatmaps, state)

    def forward(self, clip: Tensor, corrupt: Corruption | None = None) -> tuple[Tensor, Tensor]:
        """Return the final heat-maps of a clip and those of the encoder alone.

        Args:
            clip: ``(B, T, 3, S, S)``.
            corrupt: changes the first frame's heat-maps before they are distilled, as training does
                to let the network learn to recover.

        Returns:
            both ``(B, T, K, h, w)``; the final ones of the first frame are the initialiser's.
        """
        # The encoder sees all frames at once: they do not depend on each other.
        features = self.encode(clip.flatten(0, 1))
        alone = self.encoder.classify(features).unflatten(0, clip.shape[:2])
        features = features.unflatten(0, clip.shape[:2])
        first = alone[:, 0] if self.initialiser is None else self.initialiser(clip[:, 0])
        return self.propagate(features, first, corrupt), alone

    def propagate(
        self, features: Tensor, first: Tensor, corrupt: Corruption | None = None
    ) -> Tensor:
        """Propagate the first heat-maps through a clip, ``(B, T, K, h, w)``.

        Args:
            features: ``(B, T, F, h, w)``.
            first: ``(B, K, h, w)``, of the first frame.
            corrupt: see :meth:`forward`.
        """
        final, state = [first], None
        for t in range(1, features.shape[1]):
            last = corrupt(first) if corrupt is not None and t == 1 else final[-1]
            state = self.distil(features[:, t - 1], last, state)
            final.append(self.match(features[:, t], state))
        return torch.stack(final, 1)

    def _first(self, image: Tensor, features: Tensor) -> Tensor:
        if self.initialiser is None:
            return self.encoder.classify(features)
        heatmaps: Tensor = self.initialiser(image)
        return heatmaps
