"""Batch norms whose statistics are those of the whole batch, of which processes have parts.

`torch.nn.SyncBatchNorm` does the same on GPUs alone.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from edgepose.training.distributed.collectives import sum_over_processes

_AXES = (0, 2, 3)


class SynchronisedBatchNorm2d(nn.BatchNorm2d):
    """A batch norm with one mean and variance over all processes while it trains."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise (N, C, H, W), where N is this process's part of the batch."""
        if not self.training:
            return super().forward(x)
        values = x.float()
        local = torch.cat([values.sum(_AXES), values.new_tensor([x.numel() / x.shape[1]])])
        total = _total(local)
        count = total[-1].detach()
        centred = values - (total[:-1] / count)[:, None, None]
        # From centred values: a difference of large sums would lose digits.
        variance = _total(centred.square().sum(_AXES)) / count
        self._follow(total[:-1].detach() / count, variance.detach(), count)
        scale = (variance + self.eps).rsqrt() * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: Tensor) -> None:
        """Update the running statistics, whose variance is the unbiased one."""
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None  # noqa: S101 - comes with running_mean
        self.num_batches_tracked += 1
        momentum = self.momentum
        rate = 1 / float(self.num_batches_tracked) if momentum is None else momentum
        self.running_mean.lerp_(mean, rate)
        self.running_var.lerp_(variance * (count / (count - 1).clamp_min(1)), rate)


class _Sum(torch.autograd.Function):
    """A sum over the processes: each has a part of the loss, so gradients are summed as well."""

    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        return sum_over_processes(values)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        return sum_over_processes(gradient)


def _total(values: Tensor) -> Tensor:
    apply: Any = _Sum.apply  # the base class is not typed
    total: Tensor = apply(values)
    return total


def synchronise_norms(module: nn.Module) -> None:
    """Let the batch norms of a module use the statistics of all processes.

    Layers stay the same objects, as tasks hold on to some of them.
    """
    for layer in module.modules():
        if type(layer) is nn.BatchNorm2d:
            layer.__class__ = SynchronisedBatchNorm2d
