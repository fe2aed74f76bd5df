"""TensorRT's options in ONNX Runtime, and where the engines that it builds are kept.

Building takes minutes, and an engine is of use only to the version of TensorRT and the GPU that it
was built for: everything that it depends on is in the name of its folder.
"""

from __future__ import annotations

import ctypes
import hashlib
import subprocess
from ctypes.util import find_library
from dataclasses import astuple, dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgepose_runtime.backends.base import BackendSettings

_PACKAGES = ("tensorrt", "tensorrt-cu13", "tensorrt-cu12")
_LIBRARIES = ("libnvinfer.so.10", "libnvinfer.so.8")
_BOARD = Path("/proc/device-tree/model")
_GPU_QUERY = ("nvidia-smi", "--query-gpu=name,compute_cap", "--format=csv,noheader", "--id=0")


@dataclass(frozen=True, slots=True)
class EngineKey:
    """What an engine depends on.

    Attributes:
        model: hash of the ONNX file.
        tensorrt: version of TensorRT.
        onnxruntime: version of ONNX Runtime, which decides what TensorRT is given.
        gpu: name of the GPU.
        precision: asked for.
        batch: samples per inference; 0 for any number.
    """

    model: str
    tensorrt: str
    onnxruntime: str
    gpu: str
    precision: str
    batch: int

    @property
    def folder_name(self) -> str:
        """Different for each different key; begins with what people look for."""
        digest = hashlib.sha256("\0".join(map(str, astuple(self))).encode()).hexdigest()
        return f"{self.model[:12]}-trt{self.tensorrt}-{self.precision}-{digest[:12]}"


def tensorrt_options(precision: str, folder: Path | None, *, quantised: bool) -> dict[str, str]:
    """Return the options of ONNX Runtime's TensorRT provider.

    Args:
        precision: asked for; ``auto`` and ``int8`` leave what is not quantised in float32.
        folder: where engines are kept, ``None`` to build them at each start.
        quantised: the model says itself what is int8, and with which scales.
    """
    options = {
        "trt_fp16_enable": str(precision == "float16"),
        "trt_int8_enable": str(quantised),
    }
    if precision == "bfloat16":  # only then: older versions refuse what they do not know
        options["trt_bf16_enable"] = "True"
    if folder is not None:
        options |= {
            "trt_engine_cache_enable": "True",
            "trt_engine_cache_path": str(folder),
            "trt_timing_cache_enable": "True",
            "trt_timing_cache_path": str(folder),
        }
    return options


def engine_folder(model: Path | bytes, settings: BackendSettings, onnxruntime: str) -> Path | None:
    """Return the folder for a model's engines, made if need be.

    ``None`` without a cache folder, or where nobody can say which TensorRT or GPU this is: an
    engine of unknown origin must not be used.
    """
    tensorrt, gpu = tensorrt_version(), gpu_name()
    if settings.cache_folder is None or tensorrt is None or gpu is None:
        return None
    content = model if isinstance(model, bytes) else model.read_bytes()
    key = EngineKey(
        model=hashlib.sha256(content).hexdigest(),
        tensorrt=tensorrt,
        onnxruntime=onnxruntime,
        gpu=gpu,
        precision=settings.precision,
        batch=settings.batch or 0,
    )
    folder = settings.cache_folder / "tensorrt" / key.folder_name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@cache
def tensorrt_version() -> str | None:
    """Return the version of TensorRT: of its package, else of the system's library."""
    for package in _PACKAGES:
        try:
            return version(package)
        except PackageNotFoundError:
            continue
    for library in filter(None, (find_library("nvinfer"), *_LIBRARIES)):
        try:
            number: int = ctypes.CDLL(library).getInferLibVersion()
        except OSError:  # not there
            continue
        return readable_version(number)
    return None


def readable_version(number: int) -> str:
    """Return TensorRT's version as it is written: 8601 is 8.6.1, from 10 on 100300 is 10.3.0."""
    thousand = 10_000 if number >= 10_000 else 1_000
    major, rest = divmod(number, thousand)
    return f"{major}.{rest // 100}.{rest % 100}"


@cache
def gpu_name() -> str | None:
    """Return the name of the first NVIDIA GPU, or of the board that has one."""
    try:
        said = subprocess.run(
            _GPU_QUERY, capture_output=True, text=True, timeout=10, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        said = ""
    try:
        board = _BOARD.read_text(encoding="utf-8", errors="replace").strip("\0\n ")
    except OSError:
        board = ""
    name = said.strip() or (board if "NVIDIA" in board or "Jetson" in board else "")
    return name or None
