"""Pose kernels that come at run time, matched by standard operators: one product of matrices.

A convolution whose weights are computed is quicker, but needs a group for each channel of each
sample, so that the number of samples would be fixed; and not every runtime takes such weights.
``python -m benchmarks dkd`` compares this form with others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgepose.models.distillation import PoseKernels


def match_by_rows(memory: PoseKernels, features: Tensor, kernels: Tensor) -> Tensor:
    """Return what ``memory.match(features, kernels)`` does.

    U follows the filters, so both are one filter for each joint and channel, ``u[j, c] k'[c]``.
    Rows under such a filter are laid side by side, the product with all filters gives what each of
    their columns finds, and those are added up where they lie over each other.

    Args:
        memory: U, V and BN; its batch norm may have been folded into U.
        features: ``(B, C, h, w)``.
        kernels: ``(B, C, S, S)``.

    Returns:
        The heat-maps ``(B, K, h, w)``.
    """
    joints, channels = memory.u.weight.shape[:2]
    side, (height, width) = int(kernels.shape[-1]), (int(size) for size in features.shape[-2:])
    seen = _padded(memory, features, side // 2)
    rows = torch.cat([seen[:, :, row : row + height] for row in range(side)], 1).flatten(2)
    filters = kernels.permute(0, 3, 2, 1).reshape(-1, side, 1, side, channels)
    filters = filters * memory.u.weight[:, :, 0, 0].reshape(1, 1, joints, 1, channels)
    found = filters.reshape(-1, side * joints, side * channels) @ rows
    columns = found.reshape(-1, side, joints, height, width + side - 1)
    shifted = [columns[:, place, :, :, place : place + width] for place in range(side)]
    # Not one by one: int8 is for sums of features, and these are heat-maps.
    heatmaps = torch.stack(shifted, 1).sum(1)
    if memory.u.bias is not None:
        heatmaps = heatmaps + memory.u.bias[:, None, None]
    matched: Tensor = memory.norm(heatmaps)
    return matched


def _padded(memory: PoseKernels, features: Tensor, edge: int) -> Tensor:
    """Return V's features with zeros around.

    As a product they are laid out channel by channel, which rows are cut from without a detour.
    """
    height, width = (int(size) for size in features.shape[-2:])
    seen = memory.v.weight[:, :, 0, 0] @ features.flatten(2)
    planes = seen.reshape(-1, seen.shape[1], height, width)
    padded: Tensor = _Padding.apply(planes, edge)  # type: ignore[no-untyped-call]
    return padded


class _Padding(torch.autograd.Function):
    """Zeros around planes; the exporter's own takes a dozen nodes to say how many."""

    @staticmethod
    def forward(_: Any, planes: Tensor, edge: int) -> Tensor:
        return functional.pad(planes, (edge,) * 4)

    @staticmethod
    def symbolic(graph: Any, planes: Any, edge: int) -> Any:
        sides = torch.tensor([0, 0, edge, edge] * 2)
        return graph.op("Pad", planes, graph.op("Constant", value_t=sides))
