"""What is trained: single images (stage 1) or sequences (stage 2). A task makes a batch a loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from edgepose.datasets.sampling.targets import render_targets
from edgepose.models import DKD, PPN, PoseNetwork
from edgepose.models.pose.batch_norm_folding import fold_while_training
from edgepose.models.thin_slicing.network import SliceNetwork
from edgepose.training.config.settings import TrainConfig
from edgepose.training.frozen_layers import compile_frozen_layers
from edgepose.training.tasks.adversary import Adversary, build_adversary
from edgepose.training.tasks.corruption import augmented, corrupt
from edgepose.training.tasks.dkd import DkdTask
from edgepose.training.tasks.fake_quantisation import simulate_int8
from edgepose.training.tasks.freezing import freeze, keep_norms
from edgepose.training.tasks.losses import heatmap_loss, reduced
from edgepose.training.tasks.networks import build_module, named_part, network_input, start_from
from edgepose.training.tasks.previous_heatmaps import realign
from edgepose.training.tasks.thin_slicing import SliceTask
from edgepose_runtime.errors import ConfigError

Batch = Mapping[str, Tensor]


class Task(Protocol):
    """One way to train one module.

    Attributes:
        module: what is trained.
        length: frames per sample, None for single images.
        adversary: what learns against the module, or None.
    """

    module: nn.Module
    length: int | None
    adversary: Adversary | None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars to report; ``loss`` is the one to minimise.

        Args:
            batch: see `edgepose.datasets.sampling.batches.Batches`.
        """


def build_task(config: TrainConfig, root: Path) -> Task:
    """The task of a recipe, started from the weights it names (relative to `root`).

    Raises:
        ConfigError: the network's options do not fit.
        CheckpointError: the weights to start from are missing or do not fit.
    """
    torch.manual_seed(config.seed)  # for the weights that are drawn
    module = build_module(config)
    start_from(module, config, root)
    if isinstance(module, SliceNetwork):
        return SliceTask(config, module)
    if isinstance(module, DKD):
        return DkdTask(config, module, build_adversary(config, root))
    return SequenceTask(config, module) if isinstance(module, PPN) else ImageTask(config, module)


class ImageTask:
    """Stage 1: a pose network on single images."""

    adversary: Adversary | None = None

    def __init__(self, config: TrainConfig, module: nn.Module) -> None:
        self._config = config
        self._frozen = freeze(module, config.frozen)
        size = config.phases[-1].size
        if config.runtime_layers:
            backbone: Any = named_part(module, "backbone")
            compile_frozen_layers(backbone, config.runtime_layers, size)
        if config.fold_norms:
            fold_while_training(module, torch.rand(1, 3, size, size))
            self._frozen.append(module)
        if config.int8:
            simulate_int8(module, config.float_layers)
            self._frozen.append(module)
        self.module: nn.Module = module
        self.length: int | None = None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The heat-map loss of a batch of images, summed over the stages of a CPM."""
        keep_norms(self._frozen)
        targets, weight = _targets(batch, self._config)
        image, foreground = network_input(batch["image"]), self._config.foreground
        losses = [
            heatmap_loss(maps, targets, weight, foreground)
            for maps in _supervised(self.module, image)
        ]
        return {"loss": reduced(torch.stack(losses).sum(), targets, self._config.reduction)}


class SequenceTask:
    """Stage 2: PPN on windows of T frames, with gradients through all of them.

    Args:
        config: a recipe with ``sequence``.
        module: the network that it describes.
    """

    adversary: Adversary | None = None

    def __init__(self, config: TrainConfig, module: PPN) -> None:
        if config.sequence is None:
            raise ConfigError(f"The recipe {config.name!r} trains sequences but has no 'sequence'.")
        self._config, self._sequence, self._ppn = config, config.sequence, module
        self.module: nn.Module = module
        self.length: int | None = config.sequence.length
        self._frozen = freeze(module, config.frozen)
        if not config.optimiser.body_factor:
            self._frozen += freeze(module, ["body"])
        if config.sequence.keep_norms:
            self._frozen.append(module.body)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 1 per frame: the head's maps of the first frame, the propagated ones of each.

        The body's own maps add to it with the weight `SequenceSettings.preliminary`.
        """
        keep_norms(self._frozen)
        clip = network_input(batch["image"])
        # The body sees all frames at once: they do not depend on each other.
        body = self._ppn.body(clip.flatten(0, 1)).unflatten(0, clip.shape[:2])
        head = self._ppn.head(clip[:, 0]) if self._ppn.head is not None else None
        return self.propagation_loss(batch, body, head)

    def propagation_loss(
        self, batch: Batch, body: Tensor, head: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The same from heat-maps that are there already.

        Args:
            batch: keypoints and matrices.
            body: (B, T, K, h, h), the body's of every frame.
            head: (B, K, h, h), the head's of the first frames; None without a head.
        """
        foreground, settings = self._config.foreground, self._config.targets
        size = body.shape[-1] * settings.stride
        targets, weight = render_targets(batch["keypoints"], size, settings)
        simulated = _simulated_head_output(body[:, 0], targets[:, 0], weight[:, 0])
        first = simulated if head is None else head.float()
        first = corrupt(first, self._sequence.corrupt, self._config.joints)
        final = self._propagated(body, first, batch["matrix"])
        losses = {
            "loss_ppn": heatmap_loss(final, targets, weight, foreground),
            "loss_body": heatmap_loss(body, targets, weight, foreground),
        }
        total = losses["loss_ppn"] + self._sequence.preliminary * losses["loss_body"]
        if head is not None:
            losses["loss_head"] = heatmap_loss(head, targets[:, 0], weight[:, 0], foreground)
            total = total + losses["loss_head"] / body.shape[1]
        return {"loss": total, **losses}

    def _propagated(self, body: Tensor, previous: Tensor, matrix: Tensor) -> Tensor:
        """Propagate maps through the window: (B, K, h, h) to (B, T, K, h, h)."""
        final = []
        for t in range(body.shape[1]):
            if t and self._sequence.realign:
                previous = realign(previous, matrix[:, t - 1], matrix[:, t], self._config.targets)
            previous = self._ppn.propagate(body[:, t], previous)
            final.append(previous)
        return torch.stack(final, 1)


def _simulated_head_output(body: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """Simulate a head's first heat-maps from the targets, where no head is trained along.

    The plain targets would teach the network that what it remembers is always true. Half of the
    samples get augmented targets; the others, and joints without a label, get the body's maps.
    """
    known = (weight > 0)[..., None, None]
    guided = torch.rand(len(body), 1, 1, 1, device=body.device) < 0.5
    return torch.where(known & guided, augmented(targets), body.detach().float())


def _supervised(network: nn.Module, image: Tensor) -> list[Tensor]:
    return network.supervised(image) if isinstance(network, PoseNetwork) else [network(image)]


def _targets(batch: Batch, config: TrainConfig) -> tuple[Tensor, Tensor]:
    return render_targets(batch["keypoints"], batch["image"].shape[-2], config.targets)
