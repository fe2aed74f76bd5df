"""Training with int8 in mind: convolutions compute with what int8 can hold of inputs and weights.

Rounded is as `edgepose_converters.quantisation` does it afterwards: symmetrically, weights per
output channel, activations per tensor. A batch norm behind a convolution need not be folded for
it: it multiplies a whole channel, and by that the channel's scale as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from edgepose.models.backbones.mobilenet import InvertedResidual
from edgepose.training.distributed.collectives import sum_over_processes
from edgepose_runtime.errors import ConfigError

_LARGEST = 127
_MOMENTUM = 0.02
_RANGE = "int8_range"


def simulate_int8(module: nn.Module, float_layers: Sequence[str] = ()) -> None:
    """Make the convolutions of a module round their inputs and weights, and its blocks their sums.

    The names of its weights stay as they are. Ranges of activations are learned while it trains,
    and start with those of the first batch; a checkpoint does not hold them, so a resumed run takes
    them from its own first batch.

    Args:
        module: changed in place; gradients pass through the rounding as if it were not there.
        float_layers: patterns of module names that stay float, such as ``backbone.features.0.*``.

    Raises:
        ConfigError: a pattern matches no layer.
    """
    layers = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv2d | InvertedResidual)
    }
    for pattern in float_layers:
        if not any(fnmatchcase(name, pattern) for name in layers):
            raise ConfigError(
                f"No layer matches {pattern!r}, which is to stay float; give names of "
                "convolutions, such as 'head.final_layer' or 'backbone.features.0.*'."
            )
    for name, layer in layers.items():
        if any(fnmatchcase(name, pattern) for pattern in float_layers):
            continue
        layer.register_buffer(_RANGE, torch.zeros(()), persistent=False)
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_pre_hook(_round_inputs)
            convolve: Any = _RoundedWeights(layer)
            layer._conv_forward = convolve  # type: ignore[method-assign]
        else:
            layer.register_forward_hook(_round_outputs)


class _RoundedWeights:
    """In place of ``Conv2d._conv_forward``."""

    def __init__(self, layer: nn.Conv2d) -> None:
        self._options: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        largest = weight.detach().abs().amax((1, 2, 3), keepdim=True)
        return conv2d(x, _on_grid(weight, largest.clamp_min(1e-20)), bias, *self._options)


def _round_inputs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (_rounded(layer, inputs[0]), *inputs[1:])


def _round_outputs(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
    return _rounded(layer, output)


def _rounded(layer: nn.Module, x: Tensor) -> Tensor:
    largest: Any = getattr(layer, _RANGE)
    if layer.training:
        _follow(largest, x)
    return _on_grid(x, largest) if largest else x


@torch.no_grad()
def _follow(largest: Tensor, x: Tensor) -> None:
    """Bring a range closer to the mean over samples of the largest absolute value."""
    low, high = torch.aminmax(x.detach().flatten(1), dim=1)
    largest_each = torch.maximum(high, -low).float()
    count = largest_each.new_tensor(float(len(x)))
    total, samples = sum_over_processes(torch.stack([largest_each.sum(), count]))
    found = total / samples
    largest.copy_(found if not largest else torch.lerp(largest, found, _MOMENTUM))


def _on_grid(x: Tensor, largest: Tensor) -> Tensor:
    grid: Any = _Grid  # the base class is not typed
    rounded: Tensor = grid.apply(x, (largest / _LARGEST).to(x.dtype))
    return rounded


class _Grid(torch.autograd.Function):
    """Round to whole steps. Integers up to 127 are exact in bfloat16 as well."""

    @staticmethod
    def forward(_: Any, x: Tensor, step: Tensor) -> Tensor:
        return (x / step).round_().clamp_(-_LARGEST, _LARGEST).mul_(step)

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return gradient, None
