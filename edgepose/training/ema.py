"""Exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


class ExponentialMovingAverage:
    """A running average of a module's parameters and buffers.

    The decay grows with the number of updates, so that early random weights are forgotten.

    Attributes:
        values: the averages, by name; integer buffers are copies of the latest.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self._decay, self._updates = decay, 0
        self.values = _copied(module)

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        """Take in the module's present weights."""
        self._updates += 1
        keep = min(self._decay, (1 + self._updates) / (10 + self._updates))
        for name, value in module.state_dict().items():
            mean = self.values[name]
            if value.dtype.is_floating_point:
                mean.lerp_(value, 1 - keep)
            else:
                mean.copy_(value)

    @contextmanager
    def applied_to(self, module: nn.Module) -> Iterator[None]:
        """Let the module compute with the averaged weights, in evaluation mode, for a while."""
        kept, training = _copied(module), module.training
        module.load_state_dict(self.values)
        module.eval()
        try:
            yield
        finally:
            module.load_state_dict(kept)
            module.train(training)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"updates": self._updates, "values": self.values}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` gave."""
        self._updates = int(state["updates"])
        for name, value in state["values"].items():
            self.values[name].copy_(value)


def _copied(module: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}
