"""Calls kernels of the library that is compiled ahead, and numba's where that does not fit."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import sys
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.native.processor import cpu_flags
from edgepose_runtime.native.signatures import (
    CPU_FLAGS,
    LIBRARY,
    PREFIX,
    SIGNATURES,
    Parameter,
    Signature,
    sources_hash,
)

#: Set to 0, kernels are compiled on this machine.
ENVIRONMENT_VARIABLE = "EDGEPOSE_PRECOMPILED"
_FORMATS = {"float64": "d", "int64": "q", "bool": "q"}
_POINTER_SIZE = ctypes.sizeof(ctypes.c_void_p)
_byte_of: Callable[[Any], Any] = ctypes.c_char.from_buffer
_address_of = ctypes.addressof

Kernel = Callable[..., Any]


def precompiled(compiled: Callable[[], Kernel]) -> Callable[[], Kernel]:
    """Return a function that returns a kernel: of the library, or what the given one returns.

    ::

        @precompiled
        def _crop_area() -> Kernel:
            from edgepose_runtime.geometry.crop_kernels import crop_area

            return crop_area

    Args:
        compiled: imports the kernel that numba compiles. It is named like the kernel, with an
            underscore before it.
    """
    return cache(lambda: _chosen(compiled.__name__[1:], compiled))


def _chosen(name: str, compiled: Callable[[], Kernel]) -> Kernel:
    found = library()
    if found is None:
        return compiled()
    return NativeKernel(getattr(found, PREFIX + name), SIGNATURES[name], compiled)


@cache
def library() -> ctypes.CDLL | None:
    """Return the library, or ``None`` where this machine needs another, or it is out of date."""
    if os.environ.get(ENVIRONMENT_VARIABLE) == "0" or not _runs_here():
        return None
    try:
        found = ctypes.CDLL(str(LIBRARY))
        made_of = ctypes.c_char_p.in_dll(found, PREFIX + "sources").value
    except (OSError, ValueError):  # not shipped, of another C library, not one of ours
        return None
    return found if made_of == sources_hash().encode() else None


def _runs_here() -> bool:
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return False
    return cpu_flags() >= CPU_FLAGS


class NativeKernel:
    """A kernel of the library. Any thread may call it; other Python threads run meanwhile.

    What it was not compiled for, such as an array of another type, and what it fails at, goes to
    the kernel that numba compiles.

    Args:
        entry: the library's function.
        signature: what it takes and returns.
        compiled: returns numba's kernel.
    """

    def __init__(self, entry: Any, signature: Signature, compiled: Callable[[], Kernel]) -> None:
        self._entry = entry
        self._compiled = compiled
        self._parameters = [
            (each.ndim, each.length, np.dtype(each.dtype)) for each in signature.parameters
        ]
        self._pack = struct.Struct("".join(map(_format, signature.parameters))).pack
        self._results = struct.Struct("".join(_FORMATS[each] for each in signature.results))
        # What returns nothing writes a null pointer.
        self._memory = ctypes.c_char * max(self._results.size, _POINTER_SIZE)

    def __call__(self, *arguments: Any) -> Any:
        """Call the kernel."""
        numbers: list[Any] = []
        try:
            for value, (ndim, length, dtype) in zip(arguments, self._parameters, strict=True):
                if ndim:
                    shape = value.shape
                    if value.dtype != dtype or len(shape) != ndim or not value.flags.c_contiguous:
                        return self._compiled()(*arguments)
                    numbers.append(_address(value))
                    numbers.extend(shape)
                elif length:
                    numbers.extend(value)
                else:
                    numbers.append(value)
            packed = self._pack(*numbers)
        except (AttributeError, TypeError, ValueError, struct.error):
            return self._compiled()(*arguments)
        results = self._memory()
        if self._entry(packed, results):
            return self._compiled()(*arguments)  # which raises what there is to raise
        return self._results.unpack(results) if self._results.size else None


def _address(array: NDArray[Any]) -> int:
    try:
        return _address_of(_byte_of(array))  # four times as fast as asking NumPy
    except (TypeError, ValueError):  # not to be written to, or empty
        return int(array.ctypes.data)


def _format(parameter: Parameter) -> str:
    """Return how :mod:`struct` packs an argument: of an array, its address and its shape."""
    if parameter.ndim:
        return "q" * (1 + parameter.ndim)
    return _FORMATS[parameter.dtype] * max(parameter.length, 1)
