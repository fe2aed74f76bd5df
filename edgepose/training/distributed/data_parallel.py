"""A task's loss, whose gradients are averaged over the processes during the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from edgepose.training.distributed.batch_norm import synchronise_norms
from edgepose.training.distributed.collectives import in_group, share_weights

Loss = Callable[[Mapping[str, Tensor]], dict[str, Tensor]]


def parallel_loss(loss: Loss, module: nn.Module, opponent: nn.Module | None = None) -> Loss:
    """Return a loss that all processes compute together; without a process group, the loss itself.

    Args:
        loss: of this process's part of a batch.
        module: what it trains; its batch norms get the statistics of the whole batch.
        opponent: a network with gradients of its own, such as a discriminator, or None.
    """
    if not in_group():
        return loss
    synchronise_norms(module)
    if opponent is not None:
        synchronise_norms(opponent)
        share_weights(opponent)
    return DistributedDataParallel(_Loss(loss, module))


class _Loss(nn.Module):
    """Computes a loss in its forward pass, which is what `DistributedDataParallel` wraps."""

    def __init__(self, loss: Loss, module: nn.Module) -> None:
        super().__init__()
        self.module, self._loss = module, loss

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return self._loss(batch)
