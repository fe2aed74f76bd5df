"""How kernels are compiled."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

#: Sources of this package: kernels lie beside what they belong to, and take constants from there.
_PACKAGE = Path(__file__).parent.parent


def kernel(function: Function) -> Function:
    """Compile a function that needs no interpreter lock, on its first call with each type.

    The machine code is kept on disk for the next process wherever numba finds a folder that it
    can write; in a read-only install without one it is compiled again by each process. A change to
    any kernel makes it useless.
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
    _tie_to_all_sources(compiled)
    return cast(Function, compiled)


def _tie_to_all_sources(compiled: Any) -> None:
    """Let machine code on disk count only as long as all sources are those that it was made of.

    numba looks at a kernel's own file alone. But other kernels that it calls, and constants of
    other modules, are part of its machine code, and that outlives an update of this package.
    """
    index = getattr(getattr(compiled, "_cache", None), "_cache_file", None)
    stamp = getattr(index, "_source_stamp", None)
    if index is not None and stamp is not None:
        index._source_stamp = stamp, sources_hash()


@cache
def sources_hash() -> str:
    """Return a hash of every source file of the package, of which kernels are made."""
    found = sha256()
    for file in sorted(_PACKAGE.rglob("*.py")):
        name = file.relative_to(_PACKAGE).as_posix()
        found.update(name.encode() + b"\0" + file.read_bytes() + b"\0")
    return found.hexdigest()
