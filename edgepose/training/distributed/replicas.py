"""Makes networks of several processes replicas of one, which stay so by the same steps."""

from __future__ import annotations

from torch import nn

from edgepose.training.distributed.batch_norm import synchronise_norms
from edgepose.training.distributed.collectives import in_group, share_weights


def make_replicas(*modules: nn.Module) -> None:
    """Give modules the weights of the main process, and statistics of the whole batch.

    Their gradients are to be averaged after each backward pass, by `average_gradients`. PyTorch's
    `DistributedDataParallel` does so during the pass, but refuses losses that leave out parameters,
    and when it is freed after its process group, it waits for a thread that waits for Python.
    """
    if not in_group():
        return
    for module in modules:
        synchronise_norms(module)
        share_weights(module)
