"""C++ exceptions where GStreamer is in the process as well.

On Debian GStreamer loads libunwind, which defines functions of the same names as GCC's own library
(``_Unwind_Resume`` and others), for everybody who is loaded later. The C++ library that NumPy
loaded before goes on to use GCC's: an exception that OpenVINO throws, and catches itself, is then
begun by one and continued by the other, and ends the process.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import Any

_GCC, _CPP, _OTHER = "libgcc_s.so", "libstdc++.so", "libunwind.so"
_FUNCTION = "_Unwind_Resume"


class _Object(ctypes.Structure):
    """The first fields of what ``dl_iterate_phdr`` tells of a library."""

    _fields_ = (("address", ctypes.c_void_p), ("name", ctypes.c_char_p))


class _Place(ctypes.Structure):
    """What ``dladdr`` tells of an address."""

    _fields_ = (
        ("file", ctypes.c_char_p),
        ("base", ctypes.c_void_p),
        ("symbol", ctypes.c_char_p),
        ("address", ctypes.c_void_p),
    )


def prefer_gcc_unwinding() -> None:
    """Let all libraries that are loaded from now on use GCC's functions. Costs 0.1 ms."""
    if sys.platform != "linux":
        return
    try:
        ctypes.CDLL(f"{_GCC}.1", mode=ctypes.RTLD_GLOBAL)
    except OSError:  # a system without it
        return


def mixes_unwinding() -> bool:
    """Return whether an exception of a C++ library that is loaded now would end the process."""
    if sys.platform != "linux":
        return False
    try:
        return _is_mixed(_libraries(), _owner_for_all())
    except (AttributeError, OSError):  # another C library than glibc
        return False


def _is_mixed(libraries: list[str], owner: str) -> bool:
    """Decide by the libraries in the order of their loading, and whose the functions are."""
    first = {
        kind: next((i for i, name in enumerate(libraries) if name.startswith(kind)), None)
        for kind in (_CPP, _OTHER)
    }
    cpp, other = first[_CPP], first[_OTHER]
    return owner.startswith(_OTHER) and cpp is not None and other is not None and cpp < other


def _libraries() -> list[str]:
    found: list[str] = []

    def collect(item: Any, _size: int, _data: int | None) -> int:
        found.append(_file_name(item.contents.name))
        return 0

    kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Object), ctypes.c_size_t, ctypes.c_void_p)
    ctypes.CDLL(None).dl_iterate_phdr(kind(collect), None)
    return found


def _owner_for_all() -> str:
    """Return the library whose function those get that are loaded now."""
    process, place = ctypes.CDLL(None), _Place()
    process.dladdr(getattr(process, _FUNCTION), ctypes.byref(place))
    return _file_name(place.file)


def _file_name(path: bytes | None) -> str:
    return os.fsdecode(path or b"").rpartition("/")[2]
