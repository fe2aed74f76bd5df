"""ONNX operators as torch functions, as ONNX defines them from opset 13 to 21.

Inputs are positional, ``None`` where they are left out; attributes are keywords.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from onnx import helper
from torch import Tensor
from torch.nn import functional

Operator = Callable[..., Any]


def _whole(tensor: Tensor | Sequence[int]) -> list[int]:
    numbers: list[int] = tensor.tolist() if isinstance(tensor, Tensor) else list(tensor)
    return numbers


def _cast(x: Tensor, to: int, **_: Any) -> Tensor:
    return x.to(getattr(torch, helper.tensor_dtype_to_np_dtype(to).name))


def _reshape(x: Tensor, shape: Tensor, allowzero: int = 0) -> Tensor:
    sizes = _whole(shape)
    if not allowzero:
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(sizes)]
    return x.reshape(sizes)


def _unsqueeze(x: Tensor, axes: Tensor) -> Tensor:
    rank = x.ndim + axes.numel()
    for axis in sorted(axis % rank for axis in _whole(axes)):
        x = x.unsqueeze(axis)
    return x


def _squeeze(x: Tensor, axes: Tensor | None = None) -> Tensor:
    return x.squeeze() if axes is None else x.squeeze(tuple(_whole(axes)))


def _slice(
    x: Tensor, starts: Tensor, ends: Tensor, axes: Tensor | None = None, steps: Tensor | None = None
) -> Tensor:
    along = range(starts.numel()) if axes is None else _whole(axes)
    strides = [1] * starts.numel() if steps is None else _whole(steps)
    for axis, start, end, step in zip(along, _whole(starts), _whole(ends), strides, strict=True):
        chosen = range(x.shape[axis])[slice(start, _end(end, step), step)]
        x = x.index_select(axis, torch.tensor(list(chosen), dtype=torch.int64, device=x.device))
    return x


def _end(end: int, step: int) -> int | None:
    """Return an end for Python, where no number stands for "before the first" going backwards."""
    return None if step < 0 and end < -(2**31) else end


def _gather(x: Tensor, index: Tensor, axis: int = 0) -> Tensor:
    axis %= x.ndim
    size = x.shape[axis]
    found = x.index_select(axis, (index.long() % size).reshape(-1))
    return found.reshape((*x.shape[:axis], *index.shape, *x.shape[axis + 1 :]))


def _split(
    x: Tensor, sizes: Tensor | None = None, axis: int = 0, num_outputs: int | None = None
) -> tuple[Tensor, ...]:
    if sizes is None:
        return torch.tensor_split(x, num_outputs or 2, axis)
    return torch.split(x, _whole(sizes), axis)


def _divide(a: Tensor, b: Tensor) -> Tensor:
    return torch.div(a, b, rounding_mode=None if a.is_floating_point() else "trunc")


def _mod(a: Tensor, b: Tensor, fmod: int = 0) -> Tensor:
    return torch.fmod(a, b) if fmod else torch.remainder(a, b)


def _clip(x: Tensor, least: Tensor | None = None, most: Tensor | None = None) -> Tensor:
    return x if least is None and most is None else torch.clamp(x, least, most)


def _padded(x: Tensor, pads: Sequence[int] | None, value: float = 0.0) -> Tensor:
    if not pads or not any(pads):
        return x
    half = len(pads) // 2
    sides = [side for axis in reversed(range(half)) for side in (pads[axis], pads[axis + half])]
    return functional.pad(x, sides, value=value)


def _conv(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    pads: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,  # noqa: ARG001 - the weight has it
    auto_pad: str = "NOTSET",
) -> Tensor:
    _refuse_auto_pad(auto_pad)
    x = _padded(x, pads)
    return functional.conv2d(x, weight, bias, tuple(strides), 0, tuple(dilations), group)


def _conv_transpose(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    strides: Sequence[int] = (1, 1),
    dilations: Sequence[int] = (1, 1),
    pads: Sequence[int] = (0, 0, 0, 0),
    output_padding: Sequence[int] = (0, 0),
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,  # noqa: ARG001 - the weight has it
    auto_pad: str = "NOTSET",
) -> Tensor:
    _refuse_auto_pad(auto_pad)
    out = functional.conv_transpose2d(
        x, weight, bias, tuple(strides), 0, tuple(output_padding), group, tuple(dilations)
    )
    top, left, bottom, right = pads
    return out[..., top : out.shape[-2] - bottom, left : out.shape[-1] - right]


def _pool(x: Tensor, how: str, kernel: Sequence[int], **options: Any) -> Tensor:
    _refuse_auto_pad(options.pop("auto_pad", "NOTSET"))
    pads, strides = options.pop("pads", None), tuple(options.pop("strides", (1, 1)))
    if how == "max":
        x = _padded(x, pads, value=float("-inf"))
        return functional.max_pool2d(x, tuple(kernel), strides)
    if pads and any(pads) and not options.get("count_include_pad"):
        raise RuntimeError("AveragePool with padding that does not count is not supported")
    return functional.avg_pool2d(_padded(x, pads), tuple(kernel), strides)


def _refuse_auto_pad(auto_pad: str) -> None:
    if auto_pad not in ("NOTSET", "VALID"):
        raise RuntimeError(f"auto_pad {auto_pad} is not supported")


def _pad(x: Tensor, pads: Tensor, value: Tensor | None = None, mode: str = "constant") -> Tensor:
    if mode != "constant":
        raise RuntimeError(f"Pad with mode {mode} is not supported")
    return _padded(x, _whole(pads), 0.0 if value is None else float(value))


def _depth_to_space(x: Tensor, blocksize: int, mode: str = "DCR") -> Tensor:
    if mode == "CRD":
        return functional.pixel_shuffle(x, blocksize)
    n, c, h, w = x.shape
    parts = x.reshape(n, blocksize, blocksize, c // blocksize**2, h, w)
    return parts.permute(0, 3, 4, 1, 5, 2).reshape(n, -1, h * blocksize, w * blocksize)


def _resize(
    x: Tensor,
    _: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    **_others: Any,
) -> Tensor:
    halves = coordinate_transformation_mode in ("half_pixel", "pytorch_half_pixel")
    if mode != "linear" or not halves or x.ndim != 4:
        raise NotImplementedError(
            f"Resize by {mode}, {coordinate_transformation_mode}; known is linear by half pixels"
        )
    size = None if sizes is None else _whole(sizes)[2:]
    factors = None if size or scales is None else scales.tolist()[2:]
    return functional.interpolate(x, size, factors, mode="bilinear")


def _grid_sample(
    x: Tensor,
    grid: Tensor,
    mode: str = "linear",
    padding_mode: str = "zeros",
    align_corners: int = 0,
) -> Tensor:
    mode = {"linear": "bilinear", "cubic": "bicubic"}.get(mode, mode)
    return functional.grid_sample(x, grid.to(x.dtype), mode, padding_mode, bool(align_corners))


def _reduce(
    x: Tensor, axes: Any, keepdims: int, function: Callable[..., Tensor], noop: int = 0
) -> Tensor:
    along = [] if axes is None else _whole(axes)
    if not along:
        if noop:
            return x
        along = list(range(x.ndim))
    return function(x, dim=along, keepdim=bool(keepdims))


def _reducer(function: Callable[..., Tensor]) -> Operator:
    def reduce(
        x: Tensor,
        axes_input: Tensor | None = None,
        *,
        axes: Any = None,
        keepdims: int = 1,
        noop_with_empty_axes: int = 0,
    ) -> Tensor:
        chosen = axes if axes_input is None else axes_input
        return _reduce(x, chosen, keepdims, function, noop_with_empty_axes)

    return reduce


def _along(x: Tensor, values: Tensor, axis: int) -> Tensor:
    """Return one value for all of ``x``, or one for each index along an axis, to be broadcast."""
    if values.numel() == 1:
        return values.reshape(())
    shape = [1] * x.ndim
    shape[axis] = -1
    return values.reshape(shape)


def _quantise(x: Tensor, scale: Tensor, zero: Tensor | None = None, axis: int = 1) -> Tensor:
    kind = torch.uint8 if zero is None else zero.dtype
    shift = 0 if zero is None else _along(x, zero, axis).float()
    limits = torch.iinfo(kind)
    steps = torch.round(x.float() / _along(x, scale, axis)) + shift
    return steps.clamp(limits.min, limits.max).to(kind)


def _dequantise(x: Tensor, scale: Tensor, zero: Tensor | None = None, axis: int = 1) -> Tensor:
    shift = 0 if zero is None else _along(x, zero, axis).float()
    return (x.float() - shift) * _along(x, scale, axis)


def _fold_many(function: Callable[[Tensor, Tensor], Tensor]) -> Operator:
    def fold(first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = function(first, other)
        return first

    return fold


OPERATORS: dict[str, Operator] = {
    "Abs": torch.abs,
    "Add": torch.add,
    "AveragePool": lambda x, kernel_shape, **o: _pool(x, "mean", kernel_shape, **o),
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Constant": lambda value: value,
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "DepthToSpace": _depth_to_space,
    "DequantizeLinear": _dequantise,
    "Div": _divide,
    "Exp": torch.exp,
    "Expand": lambda x, shape: x * x.new_ones(_whole(shape)),
    "Floor": torch.floor,
    "Gather": _gather,
    "Greater": torch.gt,
    "GridSample": _grid_sample,
    "Identity": lambda x: x,
    "MatMul": torch.matmul,
    "Max": _fold_many(torch.maximum),
    "MaxPool": lambda x, kernel_shape, **o: _pool(x, "max", kernel_shape, **o),
    "Min": _fold_many(torch.minimum),
    "Mod": _mod,
    "Mul": torch.mul,
    "Neg": torch.neg,
    "Pad": _pad,
    "QuantizeLinear": _quantise,
    "ReduceMax": _reducer(torch.amax),
    "ReduceMean": _reducer(torch.mean),
    "ReduceSum": _reducer(torch.sum),
    "ReduceSumSquare": _reducer(lambda x, **o: torch.sum(x * x, **o)),
    "Relu": torch.relu,
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda x: torch.tensor(x.shape),
    "Sigmoid": torch.sigmoid,
    "Slice": _slice,
    "Softmax": lambda x, axis=-1: torch.softmax(x, axis),
    "Split": _split,
    "Sqrt": torch.sqrt,
    "Squeeze": _squeeze,
    "Sub": torch.sub,
    "Tanh": torch.tanh,
    "Transpose": lambda x, perm=None: x.permute(perm or tuple(reversed(range(x.ndim)))),
    "Unsqueeze": _unsqueeze,
    "Where": torch.where,
}
