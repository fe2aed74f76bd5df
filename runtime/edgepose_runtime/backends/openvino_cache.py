"""Compiled models on disk, so that the next start on the same processor does not compile them."""

from __future__ import annotations

import logging
import os
import platform
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from edgepose_runtime.files import read_regular
from edgepose_runtime.native.processor import cpu_flags

_logger = logging.getLogger("edgepose_runtime")

_ENDING = ".blob"
#: Models kept at most; then those that were written first are removed.
MOST_MODELS = 48
#: Bytes of the largest model that is read.
_LARGEST = 1 << 31
_DIGEST_SIZE = sha256().digest_size


class CompiledModels:
    """A folder of compiled models. Several processes may use it at once.

    The file of a model is named after all that decides what it is compiled to, and begins with a
    hash of its content: what was cut off, or comes from elsewhere, is compiled again. Like the
    programs of a user, the folder must not be writable by others.

    Args:
        core: an ``openvino.Core``.
        folder: the folder; it is made when the first model is kept.
    """

    def __init__(self, core: Any, folder: Path) -> None:
        self._core = core
        self._folder = folder

    def load(
        self,
        model: bytes,
        device: str,
        options: Mapping[str, Any],
        variant: str,
        compile_model: Callable[[], Any],
    ) -> Any:
        """Return a compiled model, from the folder if it is there.

        Args:
            model: the ONNX file.
            device: OpenVINO's name of the device.
            options: what it is compiled with.
            variant: what is done to the graph before that.
            compile_model: compiles it.
        """
        key = [self._machine(device), repr(sorted(options.items())), variant]
        name = sha256("\0".join(key).encode() + b"\0" + model).hexdigest()
        path = self._folder / f"{name}{_ENDING}"
        compiled = self._read(path, device, options)
        if compiled is None:
            compiled = compile_model()
            self._keep(path, compiled)
        return compiled

    def _read(self, path: Path, device: str, options: Mapping[str, Any]) -> Any | None:
        try:
            content = read_regular(path, _LARGEST)
        except OSError:
            return None
        blob = memoryview(content)[_DIGEST_SIZE:]
        if sha256(blob).digest() != content[:_DIGEST_SIZE]:
            return None
        try:
            return self._core.import_model(bytes(blob), device, dict(options))
        except RuntimeError as error:  # of another build of OpenVINO with the same version
            _logger.info("The compiled model '%s' cannot be used: %s", path, error)
            return None

    def _keep(self, path: Path, compiled: Any) -> None:
        """Write the model, if the disk and OpenVINO allow that."""
        try:
            content = _exported(compiled)
            self._folder.mkdir(parents=True, exist_ok=True)
            _write(path, sha256(content).digest() + content)
            _remove_oldest(self._folder)
        except (OSError, RuntimeError) as error:
            _logger.info("The compiled model cannot be kept in '%s': %s", self._folder, error)

    def _machine(self, device: str) -> str:
        return "\0".join(
            [
                _version(),
                platform.machine(),
                str(self._core.get_property(device, "FULL_DEVICE_NAME")),
                " ".join(sorted(cpu_flags())),
            ]
        )


def _version() -> str:
    import openvino

    return str(openvino.get_version())


def _exported(compiled: Any) -> bytes:
    content = compiled.export_model()
    return bytes(content.getvalue() if hasattr(content, "getvalue") else content)


def _write(path: Path, content: bytes) -> None:
    """Write all of a file or none of it."""
    handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


def _remove_oldest(folder: Path) -> None:
    files = sorted(folder.glob(f"*{_ENDING}"), key=lambda file: file.stat().st_mtime)
    for file in files[:-MOST_MODELS]:
        with suppress(OSError):
            file.unlink()
