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
from edgepose_runtime.errors import EdgePoseError

_PACKAGES = ("numpy", "numba", "openvino")
#: Packages that share one module: two of them break each other.
_OPENCV = ("opencv-python", "opencv-python-headless", "opencv-contrib-python")
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
class Finding:
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


def examine() -> list[Finding]:
    """Look at everything that commonly goes wrong."""
    checks: tuple[Callable[[], Iterator[Finding]], ...] = (
        _platform, _required, _opencv, _onnxruntime, _optional, _backends, _kernels, _windows,
        _models,
    )  # fmt: skip
    findings: list[Finding] = []
    for check in checks:
        with contextlib.suppress(ImportError):  # that package is reported as missing already
            findings += check()
    return findings


def _platform() -> Iterator[Finding]:
    yield Finding("edgepose", installed("edgepose") or "not installed, run from its sources")
    yield Finding("python", f"{platform.python_version()} ({sys.executable})")
    yield Finding("platform", platform.platform())
    yield Finding("processor", f"{processor()}, {usable_cores()} usable cores")
    sets = instruction_sets()
    yield Finding("instruction sets", " ".join(sets) or "unknown")
    fast = [f"{name} ({those})" for name, those in fast_precisions(sets).items()]
    yield Finding("fast on this processor", ", ".join(["float32", *fast]))


def _required() -> Iterator[Finding]:
    for package in _PACKAGES:
        found = installed(package)
        missing = f"It is missing; run: pip install {package}"
        yield Finding(package, found or "missing", None if found else missing)


def _opencv() -> Iterator[Finding]:
    names, doubled = _one_of("cv2", _OPENCV, "opencv-python")
    problem = doubled or _import_problem("cv2")
    if not names:
        problem = "It is missing; run: pip install opencv-python"
    yield Finding("opencv", ", ".join(names) or "missing", problem)


def _onnxruntime() -> Iterator[Finding]:
    names, doubled = _one_of("onnxruntime", _ONNXRUNTIME, "onnxruntime-gpu, or onnxruntime")
    absent = 'not installed (pip install "edgepose[onnxruntime]")'
    yield Finding("onnxruntime", ", ".join(names) or absent, doubled)


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


def _optional() -> Iterator[Finding]:
    for package, extra in _OPTIONAL.items():
        absent = f'not installed (pip install "edgepose[{extra}]")'
        yield Finding(package, installed(package) or absent)


def _backends() -> Iterator[Finding]:
    import edgepose.inference.model  # noqa: F401 - it brings a backend along
    from edgepose_runtime.backends import available_backends, get_backend

    found: set[str] = set()
    for name in available_backends():
        try:
            capabilities = get_backend(name).capabilities
        except EdgePoseError as error:
            yield Finding(f"backend {name}", "fails", str(error))
            continue
        found.update(capabilities.devices)
        devices, precisions = map(", ".join, (capabilities.devices, capabilities.precisions))
        yield Finding(f"backend {name}", f"devices: {devices}; {precisions}")
    if has_nvidia_gpu():
        yield Finding("NVIDIA GPU", "found", advice=_unused_gpu(found))


def _unused_gpu(devices: set[str]) -> str | None:
    if "cuda" in devices or "tensorrt" in devices:
        return None
    return (
        "No backend uses it; run: pip uninstall onnxruntime; then pip install onnxruntime-gpu "
        "(on a Jetson: docs/jetson.md)"
    )


def has_nvidia_gpu() -> bool:
    """Say whether the system shows an NVIDIA GPU."""
    return any(path.exists() for path in _NVIDIA_DEVICES)


def _kernels() -> Iterator[Finding]:
    folder = kernel_cache()
    problem = (
        "Kernels cannot be kept on disk, so that every start compiles them again (a few seconds); "
        "set NUMBA_CACHE_DIR to a folder that can be written."
    )
    if folder is None:
        yield Finding("compiled kernels", "not kept", problem)
        return
    count = len(list(Path(folder).glob("*.nbc")))
    state = f"{count} kept in {folder}" if count else f"will be kept in {folder}"
    yield Finding("compiled kernels", state)


def kernel_cache() -> str | None:
    """Return the folder that compiled kernels are kept in, or ``None`` without one."""
    from edgepose_runtime.geometry.crop_kernels import crop_area

    compiled: Any = crop_area
    folder: str | None = compiled.stats.cache_path
    return folder


def _windows() -> Iterator[Finding]:
    from edgepose.cli.window import has_screen, has_windows

    screen = "screen" if has_screen() else "no screen"
    windows = "windows" if has_windows() else "OpenCV without windows"
    yield Finding("live window (--show)", f"{windows}, {screen}")


def _models() -> Iterator[Finding]:
    from edgepose.inference.model import available_models, load

    names = available_models()
    if not names:
        problem = "No model came with this installation; install the wheel again."
        yield Finding("models", "none", problem)
    for name in names:
        try:
            with load(name) as model:
                value = f"complete, computes on {model.device} in {model.precision}"
        except EdgePoseError as error:
            yield Finding(f"model {name}", "damaged", f"{error} Install edgepose again.")
        else:
            yield Finding(f"model {name}", value)
