"""Values that all processes compute together; without a process group, those of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

Value = TypeVar("Value")


def in_group() -> bool:
    """Whether this process has joined a process group."""
    return dist.is_available() and dist.is_initialized()


def process_rank() -> int:
    """Return the number of this process, 0 without a group."""
    return dist.get_rank() if in_group() else 0


def process_count() -> int:
    """Return the number of processes, 1 without a group."""
    return dist.get_world_size() if in_group() else 1


def is_main_process() -> bool:
    """Whether this process reports, and writes the checkpoint and the log."""
    return process_rank() == 0


def sum_over_processes(values: Tensor) -> Tensor:
    """Return the sum of a tensor over all processes, without a gradient."""
    if not in_group():
        return values
    total = values.detach().clone()
    dist.all_reduce(total)
    return total


def total_weight(weight: Tensor) -> Tensor:
    """Return what a weighted sum is divided by, so that it is a mean over the whole batch.

    The sum of all weights is taken over the processes. As gradients and losses are averaged over
    the processes afterwards, it is divided by their number: the result is the loss of one process
    with the whole batch, also where parts have different sums of weights.
    """
    return sum_over_processes(weight.sum()).clamp_min(1.0) / process_count()


def mean_over_processes(values: Mapping[str, float], device: torch.device) -> dict[str, float]:
    """Return the mean of each value; all processes must give the same names in the same order."""
    if not in_group():
        return dict(values)
    stacked = torch.tensor(list(values.values()), dtype=torch.float64, device=device)
    means = sum_over_processes(stacked) / process_count()
    return dict(zip(values, means.tolist(), strict=True))


def any_process(flag: bool, device: torch.device) -> bool:
    """Whether the flag is set in any process."""
    return bool(sum_over_processes(torch.tensor(float(flag), device=device)))


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Replace gradients by their means over the processes, all in one message."""
    if not in_group():
        return
    gradients = [each.grad for each in parameters if each.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    means = (sum_over_processes(flat) / process_count()).split([each.numel() for each in gradients])
    for gradient, mean in zip(gradients, means, strict=True):
        gradient.copy_(mean.view_as(gradient))


def share_weights(module: nn.Module) -> None:
    """Give the parameters and buffers of the main process to the others."""
    if in_group():
        for value in module.state_dict().values():
            dist.broadcast(value, 0)


def from_main_process(make: Callable[[], Value]) -> Value:
    """Let the main process make an object, and return it in all processes."""
    if not in_group():
        return make()
    made: list[Value | None] = [make() if is_main_process() else None]
    dist.broadcast_object_list(made, 0)
    return made[0]  # type: ignore[return-value] # of whatever type the main process made
