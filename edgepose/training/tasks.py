"""What is trained: single images (stage 1) or sequences (stage 2). A task turns a batch into a loss."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from edgepose.datasets.targets import render_targets
from edgepose.models import build_network
from edgepose.models.weights import load_backbone_weights
from edgepose.training.checkpoint import FORMAT, load_checkpoint
from edgepose.training.config import TrainConfig
from edgepose.training.losses import heatmap_loss
from edgepose.training.previous import corrupt, grid_between, resample
from edgepose_runtime.errors import CheckpointError, ConfigError
from edgepose_runtime.skeletons import Skeleton

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
Batch = Mapping[str, Tensor]


class Task(Protocol):
    """One way to train one module."""

    module: nn.Module
    length: int | None

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Scalars to report; ``loss`` is the one to minimise."""


def build_task(config: TrainConfig, skeleton: Skeleton, root: Path) -> Task:
    """The task of a recipe, started from the weights it names (relative to `root`)."""
    if config.sequence is None:
        return ImageTask(config, skeleton, root)
    return SequenceTask(config, skeleton, root)


class ImageTask:
    """Stage 1: a pose network on single images."""

    length = None

    def __init__(self, config: TrainConfig, skeleton: Skeleton, root: Path) -> None:
        self._config = config
        self.module = build_network(config.network, skeleton.num_joints)
        _start(self.module, config.start, root)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The heat-map loss of a batch of images."""
        targets, weight = _targets(batch, self._config)
        predicted = self.module(network_input(batch["image"]))
        return {"loss": heatmap_loss(predicted, targets, weight, self._config.foreground)}


class SequenceTask:
    """Stage 2: PPN on windows of T frames (SPEC §4.3), gradients through all of them."""

    def __init__(self, config: TrainConfig, skeleton: Skeleton, root: Path) -> None:
        if config.sequence is None or config.ppn is None:
            raise ConfigError("A sequence recipe needs 'sequence' and 'ppn'.")
        self._config, self._sequence, self._skeleton = config, config.sequence, skeleton
        self.length: int | None = config.sequence.length
        from edgepose.models import build_ppn

        self.module = build_ppn(config.ppn, skeleton.num_joints)
        _start(self.module, config.start, root)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Eq. 1: the head's maps of the first frame and the propagated maps of every frame."""
        targets, weight = _targets(batch, self._config)
        clip = network_input(batch["image"])
        first = self._first_maps(clip, targets)
        losses, previous, preliminary = [], first, []
        for t in range(clip.shape[1]):
            if t and self._sequence.realign:
                previous = resample(
                    previous, grid_between(batch["matrix"], t, previous.shape[-1], self._config)
                )
            previous, body = self.module.step(clip[:, t], previous)
            losses.append(
                heatmap_loss(previous, targets[:, t], weight[:, t], self._config.foreground)
            )
            preliminary.append(
                heatmap_loss(body, targets[:, t], weight[:, t], self._config.foreground)
            )
        out = {"loss_ppn": torch.stack(losses).mean(), "loss_body": torch.stack(preliminary).mean()}
        out["loss"] = out["loss_ppn"] + self._sequence.preliminary * out["loss_body"]
        if self._sequence.head:
            out["loss_head"] = heatmap_loss(
                self._head_maps, targets[:, 0], weight[:, 0], self._config.foreground
            )
            out["loss"] = out["loss"] + out["loss_head"] / clip.shape[1]
        return out

    def _first_maps(self, clip: Tensor, targets: Tensor) -> Tensor:
        """The head's maps, now and then spoiled as a live tracker's memory is."""
        if self._sequence.head:
            self._head_maps = self.module.head(clip[:, 0])
            start = self._head_maps
        else:
            start = targets[:, 0]
        return corrupt(start, self._sequence.corrupt, self._skeleton)


def network_input(image: Tensor) -> Tensor:
    """uint8 BGR (..., S, S, 3) to normalised float32 RGB (..., 3, S, S)."""
    mean = torch.tensor(MEAN, device=image.device) * 255
    std = torch.tensor(STD, device=image.device) * 255
    return ((image.flip(-1).float() - mean) / std).movedim(-1, -3)


def _targets(batch: Batch, config: TrainConfig) -> tuple[Tensor, Tensor]:
    size = batch["image"].shape[-2]
    return render_targets(batch["keypoints"], size, config.targets)


def _start(module: nn.Module, start: Mapping[str, str], root: Path) -> None:
    """Load the weights that a recipe starts from into the module or its named parts."""
    for part, name in start.items():
        path = Path(name) if Path(name).is_file() else root / name
        target: Any = module if part == "all" else module.get_submodule(part)
        content = _weights(path)
        if part.split(".")[-1] == "backbone":
            load_backbone_weights(target, content)
        else:
            target.load_state_dict(content)


def _weights(path: Path) -> dict[str, Tensor]:
    """Weights out of one of our checkpoints (averaged ones first) or a plain state dictionary."""
    if not path.is_file():
        raise CheckpointError(f"The weights {path} to start from do not exist.")
    plain: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    if plain.get("format") != FORMAT:
        return plain
    content = load_checkpoint(path)
    averaged: dict[str, Tensor] | None = content.get("ema")
    return averaged or content["model"]
