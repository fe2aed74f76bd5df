"""DKD's discriminator in training: its own step, its balance λ, and its loss of the generator.

Algorithm 1 keeps two sets of gradients apart: D learns from heat-maps without a history, and is
frozen while the generator learns from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgepose.models.backbones.weights import load_backbone_weights
from edgepose.models.dkd.discriminator import Discriminator
from edgepose.models.pose.network import build_network
from edgepose.training.checkpoint import load_weights
from edgepose.training.config.adversary import AdversarySettings
from edgepose.training.config.files import find_weights
from edgepose.training.config.optimiser import OptimiserSettings
from edgepose.training.config.settings import TrainConfig
from edgepose.training.distributed.collectives import average_gradients, mean_over_processes
from edgepose.training.optimiser import build_optimiser
from edgepose.training.tasks.losses import heatmap_loss
from edgepose_runtime.errors import ConfigError


def balanced(balance: float, real: float, fake: float, gain: float) -> float:
    """Return the next λ: more weight on fakes where D reconstructs the truth worse than them.

    Args:
        balance: λ, in [0, 1].
        real: the sum of D's errors on true heat-maps.
        fake: the sum of its errors on the generator's.
        gain: γ.
    """
    return min(1.0, max(0.0, balance + gain * (real - fake)))


class Adversary:
    """D with its optimiser and λ.

    Args:
        network: D.
        settings: of the contest.
        optimiser: how D learns.

    Attributes:
        network: D.
        optimiser: of D's weights only.
        balance: λ, in [0, 1].
    """

    def __init__(
        self, network: Discriminator, settings: AdversarySettings, optimiser: OptimiserSettings
    ) -> None:
        self.network, self.settings = network, settings
        rate = optimiser.learning_rate * settings.rate_factor
        self._limit = optimiser.clip
        self.optimiser = build_optimiser(network, replace(optimiser, learning_rate=rate))
        self.balance = 0.0

    def learn(self, images: Tensor, real: Tensor, fake: Tensor, weight: Tensor) -> dict[str, float]:
        """Take D's step and move λ; nothing of it reaches the generator.

        Args:
            images: (B, T, 3, S, S).
            real: (B, T, K, h, h), the targets.
            fake: the same, of the generator.
            weight: (B, T, K) of the joints.

        Returns:
            ``loss_discriminator``, and D's mean errors ``error_real`` and ``error_fake``.
        """
        self.network.train().requires_grad_(True)
        errors = self._error(images, real, weight), self._error(images, fake.detach(), weight)
        loss = errors[0] - self.balance * errors[1]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average_gradients(self.network.parameters())
        if self._limit:
            nn.utils.clip_grad_norm_(self.network.parameters(), self._limit)
        self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        found = {"loss_discriminator": loss, "error_real": errors[0], "error_fake": errors[1]}
        means = mean_over_processes({k: float(v.detach()) for k, v in found.items()}, loss.device)
        count = self._samples(images.shape[1])
        real_sum, fake_sum = count * means["error_real"], count * means["error_fake"]
        self.balance = balanced(self.balance, real_sum, fake_sum, self.settings.gain)
        return means

    def score(self, images: Tensor, fake: Tensor, weight: Tensor) -> Tensor:
        """Return D's mean error on the generator's heat-maps, with a gradient to these only.

        Args:
            images: (B, T, 3, S, S).
            fake: (B, T, K, h, h), the generator's.
            weight: (B, T, K) of the joints.
        """
        self.network.train().requires_grad_(False)
        return self._error(images, fake, weight)

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint keeps."""
        return {
            "model": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "balance": self.balance,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go back to what `state_dict` gave; the recipe's learning rates stay."""
        peaks = [group["peak"] for group in self.optimiser.param_groups]
        self.network.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.balance = float(state["balance"])
        for group, peak in zip(self.optimiser.param_groups, peaks, strict=True):
            group["peak"] = peak

    def _samples(self, length: int) -> int:
        """Return how many terms the sums of Algorithm 1 have for windows of so many frames."""
        return length - self.settings.frames + 1

    def _error(self, images: Tensor, heatmaps: Tensor, weight: Tensor) -> Tensor:
        """Return the mean squared error of D's reconstructions."""
        if self.settings.kind == "spatial":
            maps = heatmaps.flatten(0, 1)
            found = self.network(images.flatten(0, 1)[:, None], maps[:, None])
            return heatmap_loss(found, maps.float(), weight.flatten(0, 1))
        found = self.network(_pairs(images), _pairs(heatmaps))
        change = heatmaps[:, 1:].float() - heatmaps[:, :-1].float()
        # A joint counts where it is known in both frames.
        known = torch.minimum(weight[:, 1:], weight[:, :-1])
        return heatmap_loss(found, change.flatten(0, 1), known.flatten(0, 1))


def build_adversary(config: TrainConfig, root: Path) -> Adversary | None:
    """The discriminator of a recipe, or None where it trains without one.

    Args:
        config: the recipe.
        root: folder of files that the working directory does not have.

    Raises:
        ConfigError: its network does not give heat-maps of the recipe's stride, or the windows
            are too short.
        CheckpointError: the weights to start from are missing or do not fit.
    """
    settings = config.adversary
    if settings is None or not settings.weight:
        return None
    joints = config.joints.num_joints
    network = build_network(settings.network, joints)
    if settings.backbone:
        path = find_weights(settings.backbone, root)
        load_backbone_weights(network.backbone, load_weights(path).values)
    discriminator = Discriminator(network, joints, settings.frames, settings.shrink)
    if discriminator.stride != config.targets.stride:
        raise ConfigError(
            f"The discriminator's maps have stride {discriminator.stride}, the targets "
            f"{config.targets.stride}; change the stages of its head, or its 'shrink'."
        )
    if config.sequence is None or config.sequence.length < 2:
        raise ConfigError("A discriminator needs windows of 2 frames or more; lengthen 'sequence'.")
    return Adversary(discriminator, settings, config.optimiser)


def _pairs(frames: Tensor) -> Tensor:
    """Neighbours side by side: (B, T, ...) to (B * (T - 1), 2, ...)."""
    return torch.stack((frames[:, :-1], frames[:, 1:]), 2).flatten(0, 1)
