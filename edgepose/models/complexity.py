"""Counting what a network computes, in multiply-accumulates (MAC)."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import torch
from torch import Tensor, nn

# The unit of the counts that PPN's tables call "G".
GIMAC = 2**30

TransposedCount = Literal["true", "output"]


def count_macs(
    module: nn.Module, *inputs: Any, transposed: TransposedCount = "true", **options: Any
) -> int:
    """Return the multiply-accumulates of the convolutions and linear layers in one call.

    Sampling, normalisation, activations and pooling are not counted. The module is called once
    in evaluation mode without gradients; on the meta device this costs nothing.

    Args:
        module: the network; its training mode is restored.
        inputs: what it is called with.
        transposed: count a transposed convolution on its input grid (``true``, what is really
            computed) or as weights times output pixels (``output``, as HRNet's tool and the
            PPN paper do: four times as much at stride 2).
        options: keyword arguments of the call.
    """
    counts: list[int] = []

    def count(layer: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> None:
        on_input = isinstance(layer, nn.ConvTranspose2d) and transposed == "true"
        counts.append(_layer_macs(layer, arguments[0] if on_input else output))

    layers = [layer for layer in module.modules() if _is_counted(layer)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training = module.training
    try:
        with torch.no_grad():
            module.eval()(*inputs, **options)
    finally:
        module.train(training)
        for handle in handles:
            handle.remove()
    return sum(counts)


def count_parameters(module: nn.Module) -> int:
    """Return the number of trainable values in ``module``."""
    return sum(parameter.numel() for parameter in module.parameters())


def _is_counted(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)


def _layer_macs(layer: nn.Module, grid: Tensor) -> int:
    """Return weights times positions, ``grid`` being the tensor whose positions are visited."""
    positions = grid.shape[:-1] if isinstance(layer, nn.Linear) else (len(grid), *grid.shape[2:])
    return prod(layer.get_parameter("weight").shape) * prod(positions)
