"""Weighted mean squared error between heat-maps (PPN, Eq. 1, with weights of the joints)."""

from __future__ import annotations

from torch import Tensor

from edgepose.training.distributed.collectives import total_weight


def heatmap_loss(
    predicted: Tensor, target: Tensor, weight: Tensor, foreground: float = 0.0
) -> Tensor:
    """Mean squared error over all cells of the weighted joints, a scalar.

    Args:
        predicted: (..., K, h, w).
        target: the same shape, peak 1.
        weight: (..., K), 0 for unknown joints.
        foreground: how much more a cell at a joint's centre counts than an empty one. 0 is the
            published loss; a positive value makes short training runs converge faster.
    """
    error = (predicted.float() - target) ** 2
    if foreground:
        error = error * (1 + foreground * target)
    per_joint = error.mean((-2, -1))
    return (per_joint * weight).sum() / total_weight(weight)


def reduced(mean: Tensor, maps: Tensor, reduction: str) -> Tensor:
    """Return a mean over cells and joints, or the sum that belongs to it.

    Args:
        mean: of the errors of `maps`.
        maps: (B, ..., h, w).
        reduction: ``mean``, or ``sum`` over all but the first axis.
    """
    return mean * maps[0].numel() if reduction == "sum" else mean
