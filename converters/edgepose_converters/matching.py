"""Pose kernels matched by one matrix product: kernels that come at run time, in standard operators.

A convolution whose weights are an input is not for every runtime (TensorRT up to 8.5 wants stored
ones), and one filter for each channel of each sample needs a group for each, so that the number of
samples would be fixed. ``python -m benchmarks dkd`` compares this form with others.
"""

from __future__ import annotations

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
    # V pads as well: a 1x1 convolution of zeros is zero, as it has no bias.
    seen = functional.conv2d(features, memory.v.weight, padding=side // 2)
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
