"""Batch norms that no longer learn, folded into the convolutions before them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from copy import deepcopy
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d
from torch.nn.utils.fusion import fuse_conv_bn_eval

from edgepose_runtime.errors import CheckpointError

Module = TypeVar("Module", bound=nn.Module)
# Relative to the largest result; sums in another order differ by far less.
_TOLERANCE = 1e-3
Convolution = nn.Conv2d | nn.ConvTranspose2d


def fold_batch_norms(module: Module, *example: Tensor) -> Module:
    """Return a copy in evaluation mode whose batch norms are part of the convolutions before them.

    Which convolution feeds which batch norm is seen in one run, so that the way a network is
    written does not matter.

    Args:
        module: the network; it is left as it is.
        example: inputs to run it with; not zeros, since they show whether the results are the same.

    Raises:
        CheckpointError: the results changed, because a convolution's own output is used as well.
    """
    copy = deepcopy(module).eval()
    before = _results(copy, example)
    names = {layer: name for name, layer in copy.named_modules()}
    for norm, convolution in norms_after_convolutions(copy, example).items():
        transposed = isinstance(convolution, nn.ConvTranspose2d)
        fused: Any = fuse_conv_bn_eval(convolution, norm, transposed)
        convolution.weight, convolution.bias = fused.weight, fused.bias
        copy.set_submodule(names[norm], nn.Identity())
    for old, new in zip(before, _results(copy, example), strict=True):
        if not torch.allclose(old, new, rtol=_TOLERANCE, atol=_TOLERANCE * float(old.abs().max())):
            raise CheckpointError("The batch norms of this network cannot be folded away.")
    return copy


def fold_while_training(module: nn.Module, *example: Tensor) -> None:
    """Let a network learn with its batch norms folded into the convolutions before them.

    Norms keep their statistics; what they multiply and add still learns, as does the weight of the
    convolution, and the names of all parameters stay. Activations are passed once less, which
    matters where memory is what a step waits for.

    Args:
        module: the network, changed in place.
        example: inputs to run it with.
    """
    training = module.training
    for norm, convolution in norms_after_convolutions(module.eval(), example).items():
        normed: Any = _NormedConvolution(convolution, norm)
        convolution._conv_forward = normed  # type: ignore[method-assign]
        # Not a module: as a child it would not stand in the way of the class's own method.
        norm.forward = _unchanged  # type: ignore[assignment, method-assign]
    module.train(training)


def _unchanged(x: Tensor) -> Tensor:
    return x


class _NormedConvolution:
    """In place of ``Conv2d._conv_forward``."""

    def __init__(self, layer: Any, norm: nn.BatchNorm2d) -> None:
        self._options: Any = (layer.stride, layer.padding, layer.dilation, layer.groups)
        self._norm: Any = norm  # whose statistics are there

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        mean, variance = self._norm.running_mean, self._norm.running_var
        scale = self._norm.weight / (variance + self._norm.eps).sqrt()
        shift = (-mean if bias is None else bias - mean) * scale + self._norm.bias
        return conv2d(x, weight * scale[:, None, None, None], shift, *self._options)


def _results(module: nn.Module, example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        found = module(*example)
    return (found,) if isinstance(found, Tensor) else tuple(found)


def norms_after_convolutions(
    module: nn.Module, example: tuple[Tensor, ...]
) -> dict[nn.BatchNorm2d, Convolution]:
    """Return each batch norm that always gets its input straight from one convolution."""
    makers: dict[int, tuple[Convolution, Tensor]] = {}
    feeders: dict[nn.BatchNorm2d, set[Convolution | None]] = {}

    def note_output(layer: Any, _inputs: Any, output: Tensor) -> None:
        makers[id(output)] = (layer, output)  # held, so that no other tensor gets its id

    def note_input(layer: Any, inputs: tuple[Tensor, ...]) -> None:
        maker = makers.get(id(inputs[0]))
        feeders.setdefault(layer, set()).add(None if maker is None else maker[0])

    with ExitStack() as hooks, torch.no_grad():
        for layer in _of_kind(module, nn.Conv2d, nn.ConvTranspose2d):
            hooks.callback(layer.register_forward_hook(note_output).remove)
        for layer in _of_kind(module, nn.BatchNorm2d):
            hooks.callback(layer.register_forward_pre_hook(note_input).remove)
        module(*example)
    found = {norm: fed_by.pop() for norm, fed_by in feeders.items() if len(fed_by) == 1}
    return {norm: convolution for norm, convolution in found.items() if convolution is not None}


def _of_kind(module: nn.Module, *kinds: type[nn.Module]) -> Iterator[nn.Module]:
    return (layer for layer in module.modules() if isinstance(layer, kinds))
