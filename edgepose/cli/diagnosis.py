"""What an installation has, what is wrong with it, and what to do: ``edgepose doctor``."""

from __future__ import annotations

import contextlib
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from edgepose.utils.machine import (
    fast_precisions,
    installed,
    instruction_sets,
    processor,
    usable_cores,
)
from edgepose_runtime.errors import BackendUnavailableError, EdgePoseError
from edgepose_runtime.native.library import library

_PACKAGES = ("numpy", "numba", "openvino")
#: Packages that share one module: two of them break each other.
_OPENCV = (
    "opencv-python", "opencv-python-headless",
    "opencv-contrib-python", "opencv-contrib-python-headless",
)  # fmt: skip
_ONNXRUNTIME = (
    "onnxruntime", "onnxruntime-gpu", "onnxruntime-directml", "onnxruntime-openvino",
)  # fmt: skip
_OPTIONAL = {
    "rich": "cli",
    "torch": "train",
    "onnx": "convert",
    "tritonclient": "server",
}
_NVIDIA_DEVICES = (Path("/dev/nvidia0"), Path("/dev/nvhost-gpu"), Path("/dev/nvgpu"))


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the report.

    Attributes:
        name: what was looked at.
        value: what was found.
        problem: something that is needed is broken: what, and what to do; or ``None``.
        advice: nothing is broken, but more could be had; or ``None``.
    """

    name: str
    value: str
    problem: str | None = None
    advice: str | None = None


def run_checks() -> list[CheckResult]:
    """Look at everything that commonly goes wrong."""
    checks: tuple[Callable[[], Iterator[CheckResult]], ...] = (
        _platform, _required, _opencv, _onnxruntime, _optional, _backends, _kernels, _windows,
        _models,
    )  # fmt: skip
    results: list[CheckResult] = []
    for check in checks:
        with contextlib.suppress(
            ImportError, BackendUnavailableError
        ):  # that package is reported as missing already
            results += check()
    return results


def _platform() -> Iterator[CheckResult]:
    yield CheckResult("edgepose", installed("edgepose") or "not installed, run from its sources")
    yield CheckResult("python", f"{platform.python_version()} ({sys.executable})")
    yield CheckResult("platform", platform.platform())
    yield CheckResult("processor", f"{processor()}, {usable_cores()} usable cores")
    sets = instruction_sets()
    yield CheckResult("instruction sets", " ".join(sets) or "unknown")
    fast = [f"{name} ({those})" for name, those in fast_precisions(sets).items()]
    yield CheckResult("fast on this processor", ", ".join(["float32", *fast]))


def _required() -> Iterator[CheckResult]:
    for package in _PACKAGES:
        found = installed(package)
        missing = f"It is missing; run: pip install {package}"
        yield CheckResult(package, found or "missing", None if found else missing)


def _opencv() -> Iterator[CheckResult]:
    names, doubled = _one_of("cv2", _OPENCV, "opencv-python")
    problem = doubled or _import_problem("cv2")
    if not names:
        problem = "It is missing; run: pip install opencv-python"
    yield CheckResult("opencv", ", ".join(names) or "missing", problem)


def _onnxruntime() -> Iterator[CheckResult]:
    names, doubled = _one_of("onnxruntime", _ONNXRUNTIME, "onnxruntime-gpu, or onnxruntime")
    absent = 'not installed (pip install "edgepose[onnxruntime]")'
    yield CheckResult("onnxruntime", ", ".join(names) or absent, doubled)


def _one_of(module: str, packages: Sequence[str], wanted: str) -> tuple[list[str], str | None]:
    """Return which of some packages are there, and what is wrong if several are."""
    found = {name: installed(name) for name in packages}
    names = [f"{name} {number}" for name, number in found.items() if number]
    if len(names) < 2:
        return names, None
    return names, (
        f"Several packages share the module {module} and break each other; "
        f"run: pip uninstall {' '.join(found)}; then pip install {wanted}"
    )


def _import_problem(module: str) -> str | None:
    """Say why an installed package cannot be imported."""
    try:
        import_module(module)
    except ImportError as error:
        headless = (
            " It has no window system's libraries to load; run: pip uninstall opencv-python; then "
            "pip install opencv-python-headless"
        )
        return f"It cannot be imported: {error}.{headless if 'libGL' in str(error) else ''}"
    return None


def _optional() -> Iterator[CheckResult]:
    for package, extra in _OPTIONAL.items():
        absent = f'not installed (pip install "edgepose[{extra}]")'
        yield CheckResult(package, installed(package) or absent)


def _backends() -> Iterator[CheckResult]:
    import edgepose.inference.model  # noqa: F401 - it brings a backend along
    from edgepose_runtime.backends import available_backends, get_backend

    found: set[str] = set()
    for name in available_backends():
        try:
            capabilities = get_backend(name).capabilities
        except EdgePoseError as error:
            yield CheckResult(f"backend {name}", "fails", str(error))
            continue
        found.update(capabilities.devices)
        devices, precisions = map(", ".join, (capabilities.devices, capabilities.precisions))
        yield CheckResult(f"backend {name}", f"devices: {devices}; {precisions}")
    if has_nvidia_gpu():
        yield CheckResult("NVIDIA GPU", "found", advice=_unused_gpu(found))


def _unused_gpu(devices: set[str]) -> str | None:
    if "cuda" in devices or "tensorrt" in devices:
        return None
    return (
        "No backend uses it; run: pip uninstall onnxruntime; then pip install onnxruntime-gpu "
        "(on a Jetson: docs/jetson.md)"
    )


def has_nvidia_gpu() -> bool:
    """Return whether the system shows an NVIDIA GPU."""
    return any(path.exists() for path in _NVIDIA_DEVICES)


def _kernels() -> Iterator[CheckResult]:
    folder = kernel_cache()
    problem = (
        "Kernels cannot be kept on disk, so that every start compiles them again (a few seconds); "
        "set NUMBA_CACHE_DIR to a folder that can be written."
    )
    if folder is None:
        yield CheckResult("compiled kernels", "not kept", problem)
        return
    count = len(list(Path(folder).glob("*.nbc")))
    state = f"{count} kept in {folder}" if count else f"will be kept in {folder}"
    ahead = "a plain tracker's came with edgepose; others: " if library() is not None else ""
    yield CheckResult("compiled kernels", ahead + state)


def kernel_cache() -> str | None:
    """Return the folder that compiled kernels are kept in, or ``None`` without one."""
    from edgepose_runtime.geometry.crop_kernels import crop_area

    compiled: Any = crop_area
    folder: str | None = compiled.stats.cache_path
    return folder


def _windows() -> Iterator[CheckResult]:
    from edgepose.cli.tracking.window import has_screen, has_windows

    screen = "screen" if has_screen() else "no screen"
    windows = "windows" if has_windows() else "OpenCV without windows"
    yield CheckResult("live window (--show)", f"{windows}, {screen}")


def _models() -> Iterator[CheckResult]:
    from edgepose.inference.model import available_models, load

    names = available_models()
    if not names:
        problem = "No model came with this installation; install the wheel again."
        yield CheckResult("models", "none", problem)
    for name in names:
        try:
            with load(name) as model:
                value = f"complete, computes on {model.device} in {model.precision}"
        except EdgePoseError as error:
            yield CheckResult(f"model {name}", "damaged", f"{error} Install edgepose again.")
        else:
            yield CheckResult(f"model {name}", value)
