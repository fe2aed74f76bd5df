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
from contextlib import suppress

_GCC, _CPP, _OTHER = "libgcc_s.so", "libstdc++.so", "libunwind.so"
_FUNCTION = "_Unwind_Resume"


class _Library(ctypes.Structure):
    """An entry of the loader's list, ``struct link_map``."""

    _fields_ = (
        ("address", ctypes.c_void_p),
        ("name", ctypes.c_char_p),
        ("dynamic", ctypes.c_void_p),
        ("next", ctypes.c_void_p),
        ("previous", ctypes.c_void_p),
    )


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
    with suppress(OSError):  # a system without it
        ctypes.CDLL(f"{_GCC}.1", mode=ctypes.RTLD_GLOBAL)


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
    kinds = [kind for name in libraries for kind in (_CPP, _OTHER) if name.startswith(kind)]
    return owner.startswith(_OTHER) and kinds[:1] == [_CPP] and _OTHER in kinds


def _libraries() -> list[str]:
    """Return the names of the loaded libraries in the order of their loading.

    ``dl_iterate_phdr`` would tell them, too, but holds the loader's lock while it calls Python:
    another thread that imports a module holds Python's and waits for the loader's, for ever.
    """
    found: list[str] = []
    place: int | None = ctypes.CDLL(None)._handle  # the first entry
    while place:
        library = _Library.from_address(place)
        found.append(_file_name(library.name))
        place = library.next
    return found


def _owner_for_all() -> str:
    """Return the library whose function those get that are loaded now."""
    process, place = ctypes.CDLL(None), _Place()
    process.dladdr(getattr(process, _FUNCTION), ctypes.byref(place))
    return _file_name(place.file)


def _file_name(path: bytes | None) -> str:
    return os.fsdecode(path or b"").rpartition("/")[2]
