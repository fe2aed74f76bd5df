"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])


def kernel(function: Function) -> Function:
    """Compile a function that needs no interpreter lock, on its first call with each type.

    The machine code is kept on disk for the next process wherever numba finds a folder that it
    can write; in a read-only install without one it is compiled again by each process.
    """
    return _compiled(function)


def fused_kernel(function: Function) -> Function:
    """Compile like `kernel`, with a product and a sum in one step, rounded once.

    That is a third faster where there is little else, and never less exact. Division by zero gives
    infinity or NaN, as in NumPy, where `kernel` raises.
    """
    return _compiled(function, fastmath={"contract"}, error_model="numpy")


def summing_kernel(function: Function) -> Function:
    """Compile like `fused_kernel`, with sums in any order, so that those are vectors too.

    Not for what asks whether numbers are finite: that is the difference of a number and itself,
    which may then be taken for 0.
    """
    return _compiled(function, fastmath={"contract", "reassoc", "nsz"}, error_model="numpy")


def _compiled(function: Function, **options: Any) -> Function:
    try:
        compiled = njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # what numba raises when no folder can hold the cache
        compiled = njit(nogil=True, **options)(function)
    return cast(Function, compiled)
