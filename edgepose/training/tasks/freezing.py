"""Parts of a network that training leaves as they are."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from edgepose.training.tasks.networks import named_part


def freeze(module: nn.Module, names: Sequence[str]) -> list[nn.Module]:
    """Take the named parts out of training, and return them."""
    return [named_part(module, name).requires_grad_(False) for name in names]


def keep_norms(parts: Sequence[nn.Module]) -> None:
    """Leave the statistics of batch norms as they are; the trainer sets them to learn."""
    for part in parts:
        for layer in part.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.eval()
