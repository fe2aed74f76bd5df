"""Pose kernels that come at run time, matched by standard operators: one product of matrices.

A convolution whose weights are computed is quicker, but needs a group for each channel of each
sample, so that the number of samples would be fixed; and not every runtime takes such weights.
``benchmarks/README.md`` compares this form with others.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from edgepose.models.backbones.blocks import enlargement
from edgepose.models.dkd.distillator import PoseKernels


def match_by_rows(memory: PoseKernels, seen: Tensor, kernels: Tensor) -> Tensor:
    """Return what ``memory.match(seen, kernels)`` does.

    U follows the filters, so both are one filter for each joint and channel, ``u[j, c] k'[c]``.
    Rows under such a filter are laid side by side, and the product with all filters gives what each
    of their columns finds. Two more products, with constants, shift those to where they lie over
    each other, enlarge them, and add them up.

    Args:
        memory: U, V and BN; its batch norm may have been folded into U.
        seen: ``(B, C, h, w)``, see `PoseKernels.see`.
        kernels: ``(B, C, S, S)``.

    Returns:
        The heat-maps ``(B, K, h * pooling, w * pooling)``.
    """
    joints, channels = memory.u.weight.shape[:2]
    side, (height, width) = int(kernels.shape[-1]), (int(size) for size in seen.shape[-2:])
    rows = _rows(_planes(memory, seen), side, width)
    filters = kernels.permute(0, 3, 1, 2).reshape(-1, side, 1, channels, side)
    filters = filters * memory.u.weight[:, :, 0, 0].reshape(1, 1, joints, channels, 1)
    found = filters.reshape(-1, side * joints, side * channels) @ rows
    columns = found.reshape(-1, side, joints * height, width)
    # Not one by one: int8 is for sums of features, and these are heat-maps.
    added = (columns @ _shifts(width, side, memory.pooling)).sum(1)
    heatmaps = added.reshape(-1, joints, height, memory.pooling * width)
    if memory.pooling > 1:
        heatmaps = enlargement(height, memory.pooling * height) @ heatmaps
    if memory.u.bias is not None:
        heatmaps = heatmaps + memory.u.bias[:, None, None]
    matched: Tensor = memory.norm(heatmaps)
    return matched


def _planes(memory: PoseKernels, seen: Tensor) -> Tensor:
    """Return V's features one channel after the other, ``(B, C, h * w)``."""
    planes = seen.flatten(2)
    # V as a product gives that order without a detour.
    return planes if memory.narrow else memory.v.weight[:, :, 0, 0] @ planes


def _rows(planes: Tensor, side: int, width: int) -> Tensor:
    """Return the rows that lie under each row of a filter, ``(B, C * S, h * w)``."""
    height, edge = int(planes.shape[-1]) // width, side // 2
    padded = _Padding.apply(planes, edge * width)  # type: ignore[no-untyped-call]
    places = torch.arange(side)[:, None] + torch.arange(height)
    channels = int(planes.shape[1])
    lines = padded.reshape(-1, channels, height + 2 * edge, width)
    rows: Tensor = lines[:, :, places.flatten()].reshape(-1, channels * side, height * width)
    return rows


def _shifts(width: int, side: int, factor: int) -> Tensor:
    """Return ``(S, w, factor * w)``: each column's shift to the middle one, then the enlargement.

    What is shifted in from outside is zero.
    """
    places = range(-(side // 2), side // 2 + 1)
    shifts = torch.stack([torch.diag(torch.ones(width - abs(place)), -place) for place in places])
    return shifts @ enlargement(width, factor * width).T


class _Padding(torch.autograd.Function):
    """Zeros at both ends; the exporter's own takes a dozen nodes to say how many."""

    @staticmethod
    def forward(_: Any, planes: Tensor, edge: int) -> Tensor:
        return functional.pad(planes, (edge, edge))

    @staticmethod
    def symbolic(graph: Any, planes: Any, edge: int) -> Any:
        sides = torch.tensor([0, 0, edge] * 2)
        return graph.op("Pad", planes, graph.op("Constant", value_t=sides))
