"""The losses of Thin-Slicing's second stage, on scores in cells."""

from __future__ import annotations

import torch
from torch import Tensor

from edgepose.training.distributed.collectives import total_weight

#: Cells around a joint that count as the joint: 12 pixels at stride 8; the paper gives none.
RADIUS = 1.5


def hinge_loss(
    scores: Tensor,
    joints: Tensor,
    weight: Tensor,
    *,
    radius: float = RADIUS,
) -> Tensor:
    """Mean of max(0, 1 - score * I) over all cells; I is 1 at the joint and -1 elsewhere.

    Args:
        scores: (..., K, h, w).
        joints: (..., K, 2), x and y in cells.
        weight: (..., K), 0 for joints that are unknown.
        radius: of what counts as the joint, in cells.
    """
    inside = (_squared_distance(scores, joints) <= radius**2).to(scores.dtype)
    losses = torch.relu(1 - scores * (2 * inside - 1))
    return _weighted(losses.mean((-2, -1)), weight)


def choice_loss(
    scores: Tensor, joints: Tensor, weight: Tensor, *, sharpness: float = 10.0, spread: float = 1.0
) -> Tensor:
    """Cross-entropy of a softmax over all cells against a Gaussian around the joint.

    It asks what is decoded, namely which cell is the highest, and nothing else: where the hinge
    spends its effort on the level of the background, this does not.

    Args:
        scores: (..., K, h, w).
        joints: (..., K, 2), x and y in cells.
        weight: (..., K), 0 for joints that are unknown.
        sharpness: by which scores are multiplied first.
        spread: sigma of the Gaussian, in cells.
    """
    target = torch.softmax(-_squared_distance(scores, joints).flatten(-2) / (2 * spread**2), -1)
    chosen = torch.log_softmax(sharpness * scores.flatten(-2), -1)
    return _weighted(-(target * chosen).sum(-1), weight)


def _squared_distance(scores: Tensor, joints: Tensor) -> Tensor:
    """Squared distance in cells of each cell (..., K, h, w) to its joint."""
    height, width = scores.shape[-2:]
    rows = torch.arange(height, device=scores.device)[:, None]
    columns = torch.arange(width, device=scores.device)
    x, y = joints[..., 0, None, None], joints[..., 1, None, None]
    return (columns - x) ** 2 + (rows - y) ** 2


def _weighted(losses: Tensor, weight: Tensor) -> Tensor:
    return (losses * weight).sum() / total_weight(weight)
