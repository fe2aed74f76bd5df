"""Vector code that LLVM does not find by itself: fixed-point products, 3-channel pixels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

#: Rows of pixels that are worked on together.
ROWS = 4
#: Values of one column of them; as many fill a part of a register, the rest is what comes after.
COLUMN = 3 * ROWS

_INDEX = ir.IntType(32)
_VALUE = ir.IntType(16)
_LANES = 16
_VALUES = ir.VectorType(_VALUE, _LANES)
_FIRST = ir.Constant(ir.VectorType(_INDEX, _LANES), [0] * _LANES)
_ANY = ir.Constant(_VALUES, ir.Undefined)


def _intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return what kernels call without the first parameter, which numba itself passes."""
    return cast(Callable[..., Any], intrinsic(function))


@_intrinsic
def part_of_byte(_: Any, byte: Any, weight: Any) -> Any:  # noqa: ARG001 - numba binds by name
    """Return a byte times a weight (uint16) in 65536ths, in 256ths (uint16), rounded down.

    Loops over this become vectors of the 16-bit products that all processors have. A product and a
    shift that numba writes out do not: LLVM turns them into 32-bit ones.
    """
    signature = types.uint16(types.uint8, types.uint16)

    def generate(_: Any, builder: Any, __: Any, values: Any) -> Any:
        wide = builder.shl(builder.zext(values[0], _VALUE), ir.Constant(_VALUE, 8))
        return _high_product(builder, wide, values[1])

    return signature, generate


@_intrinsic
def blend_column(  # numba binds the arguments by their place
    _: Any,
    out: Any,
    at: Any,  # noqa: ARG001
    start: Any,
    block: Any,
    first: Any,  # noqa: ARG001
    weights: Any,
    w: Any,  # noqa: ARG001
    taps: Any,  # noqa: ARG001
) -> Any:
    """Set the column ``out[at:]`` to ``start[at:]`` plus the weighted sum of columns of ``block``.

    They are ``taps`` neighbours from ``block[first]`` on, and their weights, in 65536ths, begin at
    ``weights[w]``. Each product is rounded down.

    All arrays are C-contiguous uint16 (n,) of columns of `COLUMN` values, and all numbers uint64.
    Nobody checks them: `out`, `start` and `block` need `ROWS` values more than their columns have.
    """
    index = types.uint64
    signature = types.void(out, index, start, block, index, weights, index, index)

    def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
        def item(number: int, place: Any) -> Any:
            array = context.make_array(signature.args[number])(context, builder, values[number])
            return builder.gep(array.data, [place])

        def column(number: int, place: Any) -> Any:
            return builder.bitcast(item(number, place), _VALUES.as_pointer())

        start = builder.load(column(2, values[1]), align=2)
        total = cgutils.alloca_once_value(builder, start)  # type: ignore[no-untyped-call]
        step = ir.Constant(ir.IntType(64), COLUMN)
        with cgutils.for_range(builder, values[7]) as loop:
            weight = builder.load(item(5, builder.add(values[6], loop.index)))
            one = builder.insert_element(_ANY, weight, ir.Constant(_INDEX, 0))
            place = builder.add(values[4], builder.mul(loop.index, step))
            seen = builder.load(column(3, place), align=2)
            part = _high_product(builder, seen, builder.shuffle_vector(one, _ANY, _FIRST))
            builder.store(builder.add(builder.load(total), part), total)
        # The lanes after the column hold the next one's, which overwrites them.
        builder.store(builder.load(total), column(0, values[1]), align=2)
        return context.get_dummy_value()

    return signature, generate


def _high_product(builder: Any, left: Any, right: Any) -> Any:
    """Return the upper half of products of 16-bit numbers."""
    kind = left.type
    name = "llvm.umul.fix." + (f"v{_LANES}i16" if kind == _VALUES else "i16")
    signature = ir.FunctionType(kind, [kind, kind, _INDEX])
    multiply = cgutils.get_or_insert_function(builder.module, signature, name)  # type: ignore[no-untyped-call]
    return builder.call(multiply, [left, right, ir.Constant(_INDEX, 16)])
