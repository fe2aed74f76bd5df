"""``edgepose doctor``: what this installation has, what is wrong with it, and what to do."""

from __future__ import annotations

import argparse
import contextlib
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from edgepose.cli.tables import format_table
from edgepose_runtime.errors import EdgePoseError

_PACKAGES = ("numpy", "numba", "openvino")
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
_OPTIONAL = {
    "onnxruntime": "onnxruntime",
    "rich": "cli",
    "torch": "train",
    "onnx": "convert",
    "tritonclient": "server",
}
#: Instruction sets that decide how fast networks run on a CPU.
_INSTRUCTION_SETS = (
    "sse4.2", "avx", "avx2", "fma", "avx512f", "avx512vnni", "avxvnni", "avx512bf16", "amx-tile",
    "amx-int8", "amx-bf16", "neon", "dotprod", "i8mm", "sve",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report.

    Attributes:
        name: what was looked at.
        value: what was found.
        problem: what is wrong with it and what to do, or ``None``.
    """

    name: str
    value: str
    problem: str | None = None


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    subparsers.add_parser("doctor", help="check this installation and its devices")


def run(args: argparse.Namespace) -> int:  # noqa: ARG001 - every command takes them
    """Print the report; 1 if something is wrong."""
    findings = examine()
    sys.stdout.write(
        format_table([(finding.name, finding.value) for finding in findings], align="<")
    )
    problems = [finding for finding in findings if finding.problem]
    for finding in problems:
        sys.stdout.write(f"\n{finding.name}: {finding.problem}\n")
    sys.stdout.write("\n" if problems else "\nAll is well.\n")
    return 1 if problems else 0


def examine() -> list[Finding]:
    """Look at everything that commonly goes wrong."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _platform, _required, _opencv, _optional, _backends, _kernels, _windows, _bundles,
    )  # fmt: skip
    findings: list[Finding] = []
    for check in checks:
        with contextlib.suppress(ImportError):  # that package is reported as missing already
            findings += check()
    return findings


def _platform() -> Iterator[Finding]:
    yield Finding("edgepose", _installed("edgepose") or "not installed, run from its sources")
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("platform", platform.platform())
    yield Finding("instruction sets", " ".join(instruction_sets()) or "unknown")


def instruction_sets() -> list[str]:
    """Return which of the instruction sets that matter this CPU has."""
    from llvmlite.binding import get_host_cpu_features

    try:
        features = get_host_cpu_features()
    except RuntimeError:  # LLVM cannot tell on this machine
        return []
    return [name for name in _INSTRUCTION_SETS if features.get(name)]


def _required() -> Iterator[Finding]:
    for package in _PACKAGES:
        found = _installed(package)
        missing = f"It is missing; run: pip install {package}"
        yield Finding(package, found or "missing", None if found else missing)


def _opencv() -> Iterator[Finding]:
    found = {name: _installed(name) for name in _OPENCV}
    names = [f"{name} {number}" for name, number in found.items() if number]
    problem = None
    if not names:
        problem = "It is missing; run: pip install opencv-python"
    elif len(names) > 1:
        problem = (
            "Several packages share the module cv2 and break each other; "
            f"run: pip uninstall {' '.join(found)}; pip install opencv-python"
        )
    yield Finding("opencv", ", ".join(names) or "missing", problem)


def _optional() -> Iterator[Finding]:
    for package, extra in _OPTIONAL.items():
        absent = f'not installed (pip install "edgepose[{extra}]")'
        yield Finding(package, _installed(package) or absent)


def _backends() -> Iterator[Finding]:
    from edgepose_runtime.backends import available_backends, get_backend

    for name in available_backends():
        try:
            devices = ", ".join(get_backend(name).capabilities.devices)
        except EdgePoseError as error:
            yield Finding(f"backend {name}", "fails", str(error))
        else:
            yield Finding(f"backend {name}", f"devices: {devices}")


def _kernels() -> Iterator[Finding]:
    folder = kernel_cache()
    problem = (
        "Kernels cannot be kept on disk, so that every start compiles them again (a few seconds); "
        "set NUMBA_CACHE_DIR to a folder that can be written."
    )
    value = f"kept in {folder}" if folder else "not kept"
    yield Finding("compiled kernels", value, None if folder else problem)


def kernel_cache() -> str | None:
    """Return the folder that compiled kernels are kept in, or ``None`` without one."""
    from edgepose_runtime.kernels.crops import crop_area

    compiled: Any = crop_area
    folder: str | None = compiled.stats.cache_path
    return folder


def _windows() -> Iterator[Finding]:
    from edgepose.cli.window import has_screen, has_windows

    screen = "screen" if has_screen() else "no screen"
    windows = "windows" if has_windows() else "OpenCV without windows"
    yield Finding("live window (--show)", f"{windows}, {screen}")


def _bundles() -> Iterator[Finding]:
    from edgepose.loading import available_models, bundle_path
    from edgepose_runtime.bundle import load_bundle

    names = available_models()
    if not names:
        problem = "No model came with this installation; install the wheel again."
        yield Finding("models", "none", problem)
    for name in names:
        try:
            load_bundle(bundle_path(name))
        except EdgePoseError as error:
            yield Finding(f"model {name}", "damaged", f"{error} Install edgepose again.")
        else:
            yield Finding(f"model {name}", "complete")


def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
