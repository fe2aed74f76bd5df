"""The optimiser of a recipe and its learning rate over the steps."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from edgepose.training.config.optimiser import OptimiserSettings
from edgepose.training.config.settings import TrainConfig


def schedule(config: TrainConfig, step: int) -> float:
    """The factor on the learning rate at a step, in [0, 1]."""
    settings = config.optimiser
    if step < settings.warmup:
        return (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(config.total_steps - settings.warmup, 1)
    if settings.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * done))
    if settings.schedule == "step":
        passed = sum(step >= share * config.total_steps for share in settings.milestones)
        return float(settings.step_factor**passed)
    return 1 - done if settings.schedule == "linear" else 1.0


def build_optimiser(module: nn.Module, settings: OptimiserSettings) -> torch.optim.Optimizer:
    """Build what a recipe names; no decay on biases and norms, own rates for backbones and bodies.

    Each group's ``peak`` is the learning rate that `schedule` is a factor of.
    """
    # Checkpoints depend on the order of the groups, so equal rates do not merge them.
    groups: dict[tuple[bool, bool, bool], list[nn.Parameter]] = {}
    for name, parameter in module.named_parameters():
        key = (
            name.startswith(("body.", "encoder.", "unary.")),
            "backbone." in name,
            parameter.ndim > 1,
        )
        groups.setdefault(key, []).append(parameter)
    listed = [
        {
            "params": parameters,
            "weight_decay": settings.weight_decay if decayed else 0.0,
            "peak": settings.learning_rate
            * (settings.body_factor if body else 1.0)
            * (settings.backbone_factor if backbone else 1.0),
        }
        for (body, backbone, decayed), parameters in groups.items()
    ]
    kinds: dict[str, Callable[..., torch.optim.Optimizer]] = {
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
        "rmsprop": torch.optim.RMSprop,
        "sgd": partial(torch.optim.SGD, momentum=settings.momentum),
    }
    return kinds[settings.name](listed, lr=settings.learning_rate)


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Set every group's learning rate to `factor` times its peak."""
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * factor
