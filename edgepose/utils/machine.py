"""What a machine is: the facts beside every measurement, and what ``edgepose doctor`` looks at."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import cv2

from edgepose_runtime.native.processor import cpu_facts

#: Where small computers such as a Jetson say what they are.
BOARD_FACTS = Path("/proc/device-tree/model")
_MEASURED_PACKAGES = ("edgepose", "numpy", "numba", "openvino", "onnxruntime")

#: Instruction sets that decide how fast networks run, by the names that Linux and LLVM give them.
INSTRUCTION_SETS = {
    "sse4_2": "sse4.2", "avx": "avx", "avx2": "avx2", "fma": "fma", "avx512f": "avx512f",
    "avx512_vnni": "avx512vnni", "avx512vnni": "avx512vnni", "avx_vnni": "avxvnni",
    "avxvnni": "avxvnni", "avx512_bf16": "avx512bf16", "avx512bf16": "avx512bf16",
    "avx512_fp16": "avx512fp16", "avx512fp16": "avx512fp16", "amx_tile": "amx-tile",
    "amx-tile": "amx-tile", "amx_int8": "amx-int8", "amx-int8": "amx-int8",
    "amx_bf16": "amx-bf16", "amx-bf16": "amx-bf16", "asimd": "neon", "neon": "neon",
    "asimdhp": "fp16", "fullfp16": "fp16", "asimddp": "dotprod", "dotprod": "dotprod",
    "i8mm": "i8mm", "bf16": "bf16", "sve": "sve",
}  # fmt: skip
#: Which of them compute in a precision several times as fast as in float32.
_FAST = {
    "int8": ("avx512vnni", "avxvnni", "amx-int8", "dotprod", "i8mm"),
    "bfloat16": ("avx512bf16", "amx-bf16", "bf16"),
    "float16": ("avx512fp16", "fp16"),
}


def describe_machine() -> dict[str, object]:
    """Return processor, instruction sets, cores, operating system and versions, as plain data."""
    return {
        "processor": processor(),
        "instruction_sets": instruction_sets(),
        "cores": os.cpu_count(),
        "usable_cores": usable_cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {
            **{name: installed(name) for name in _MEASURED_PACKAGES},
            "opencv": cv2.__version__,
        },
    }


def processor() -> str:
    """Return the processor's name, or what comes closest to it."""
    names = cpu_facts("model name")
    board = _board()
    # Not as the default of `next`: on Linux it starts a process.
    return next(names, None) or board or platform.processor() or platform.machine()


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def pin_to_cores(count: int) -> None:
    """Keep this process and its threads on so many cores, where the system can do that."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:count])


def instruction_sets() -> list[str]:
    """Return which of :data:`INSTRUCTION_SETS` this CPU has: from Linux, else from LLVM."""
    flags = next(cpu_facts("flags", "Features"), "").split() or _features_by_llvm()
    return list(dict.fromkeys(INSTRUCTION_SETS[flag] for flag in flags if flag in INSTRUCTION_SETS))


def return_free_memory() -> None:
    """Give the memory that this process has freed back to the system, where libc can do that.

    Compiling a model takes several times the memory of the model.
    """
    with contextlib.suppress(OSError, AttributeError):  # another C library than glibc
        ctypes.CDLL(None).malloc_trim(0)


def fast_precisions(sets: list[str]) -> dict[str, str]:
    """Return the precisions that instruction sets make fast, each with those that do."""
    found = {name: [one for one in fast if one in sets] for name, fast in _FAST.items()}
    return {name: " ".join(those) for name, those in found.items() if those}


def installed(package: str) -> str | None:
    """Return the version of an installed package, ``None`` if it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _features_by_llvm() -> list[str]:
    # Not on Linux; without numba, or where LLVM cannot tell, nobody knows.
    with contextlib.suppress(ImportError, RuntimeError):
        from llvmlite.binding import get_host_cpu_features

        return [name for name, there in get_host_cpu_features().items() if there]
    return []


def _board() -> str:
    try:
        return BOARD_FACTS.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:  # no such board
        return ""
