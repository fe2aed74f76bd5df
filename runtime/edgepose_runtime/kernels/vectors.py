"""The one loop that LLVM makes no vector code of by itself: pixels of three values."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

# The fourth lane holds what comes after a pixel; the next one overwrites it.
_PIXEL = ir.VectorType(ir.FloatType(), 4)
_LANES = ir.Constant(ir.VectorType(ir.IntType(32), 4), [0] * 4)
_ANY = ir.Constant(_PIXEL, ir.Undefined)
_CHANNELS = ir.Constant(ir.IntType(64), 3)
_FUSED = ("contract",)


@intrinsic
def blend_pixel(  # numba binds the arguments by their place
    _: Any,
    out: Any,
    at: Any,  # noqa: ARG001
    start: Any,
    line: Any,
    first: Any,  # noqa: ARG001
    weights: Any,
    w: Any,  # noqa: ARG001
    taps: Any,  # noqa: ARG001
) -> Any:
    """Set the pixel ``out[at:]`` to ``start[at:]`` plus the weighted sum of pixels of ``line``.

    They are ``taps`` neighbours from ``line[first]`` on, and their weights begin at ``weights[w]``.
    A gather of single values, which numba would use here, takes three times as long.

    All arrays are C-contiguous float32 (n,) of pixels of 3 values, and all numbers uint64. Nobody
    checks them: `out`, `start` and `line` need one value more than their pixels have.
    """
    index = types.uint64
    signature = types.void(out, index, start, line, index, weights, index, index)

    def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
        def item(number: int, place: Any) -> Any:
            array = context.make_array(signature.args[number])(context, builder, values[number])
            return builder.gep(array.data, [place])

        def pixel(number: int, place: Any) -> Any:
            return builder.bitcast(item(number, place), _PIXEL.as_pointer())

        start = builder.load(pixel(2, values[1]), align=4)
        total = cgutils.alloca_once_value(builder, start)  # type: ignore[no-untyped-call]
        with cgutils.for_range(builder, values[7]) as loop:
            weight = builder.load(item(5, builder.add(values[6], loop.index)))
            one = builder.insert_element(_ANY, weight, ir.Constant(ir.IntType(32), 0))
            place = builder.add(values[4], builder.mul(loop.index, _CHANNELS))
            seen = builder.load(pixel(3, place), align=4)
            part = builder.fmul(builder.shuffle_vector(one, one, _LANES), seen, flags=_FUSED)
            builder.store(builder.fadd(builder.load(total), part, flags=_FUSED), total)
        builder.store(builder.load(total), pixel(0, values[1]), align=4)
        return context.get_dummy_value()

    return signature, generate
