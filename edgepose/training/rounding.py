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

from edgepose.models.mobilenet import InvertedResidual
from edgepose_runtime.errors import ConfigError

_LARGEST = 127
_MOMENTUM = 0.02
_RANGE = "int8_range"


def simulate_int8(module: nn.Module, float_layers: Sequence[str] = ()) -> None:
    """Make the convolutions of a module round their inputs and weights, and its blocks their sums.

    The names of its weights stay as they are. Ranges of activations are learned while it trains,
    and start with those of the first batch.

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
            raise ConfigError(f"No convolution matches {pattern!r}, which is to stay float.")
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
        scale = weight.detach().abs().amax((1, 2, 3)).float() / _LARGEST
        scale = scale.clamp_min(torch.finfo(torch.float32).tiny)
        zeros = torch.zeros_like(scale, dtype=torch.int32)
        rounded = torch.fake_quantize_per_channel_affine(
            weight.float(), scale, zeros, 0, -_LARGEST, _LARGEST
        )
        return conv2d(x, rounded.to(x.dtype), bias, *self._options)


def _round_inputs(layer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (_rounded(layer, inputs[0]), *inputs[1:])


def _round_outputs(layer: nn.Module, _: Any, output: Tensor) -> Tensor:
    return _rounded(layer, output)


def _rounded(layer: nn.Module, x: Tensor) -> Tensor:
    largest: Any = getattr(layer, _RANGE)
    if layer.training:
        _follow(largest, x)
    scale = float(largest) / _LARGEST
    if not scale > 0:
        return x
    return torch.fake_quantize_per_tensor_affine(x.float(), scale, 0, -_LARGEST, _LARGEST).to(
        x.dtype
    )


@torch.no_grad()
def _follow(largest: Tensor, x: Tensor) -> None:
    """Bring a range closer to the mean over samples of the largest absolute value."""
    found = x.detach().abs().flatten(1).amax(1).float().mean()
    largest.copy_(found if not largest else torch.lerp(largest, found, _MOMENTUM))
