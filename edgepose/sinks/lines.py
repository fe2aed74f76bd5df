"""Files that get a line per result."""

from __future__ import annotations

import io
from abc import abstractmethod
from pathlib import Path
from typing import Any, BinaryIO

from edgepose.results import PoseResult
from edgepose.utils.output_files import AppendedFile, AppendedStream
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ConfigError


class LineSink(Closable):
    """Appends lines, each on disk before the call returns. For one thread at a time.

    An instance is also a function of one result, and so an ``on_result``.

    Args:
        path: the file; one that exists is replaced when the first result is written. Or an open
            binary stream, such as ``sys.stdout.buffer``, which stays open.
        head: the first line.

    Raises:
        OutputError: the file cannot be written.
        ConfigError: what was given is neither a path nor a binary stream.
    """

    def __init__(self, path: str | Path | BinaryIO, head: bytes) -> None:
        self._file = (
            AppendedFile(path, head)
            if isinstance(path, (str, Path))
            else AppendedStream(_binary(path), head)
        )

    @property
    def size(self) -> int:
        """Bytes written so far, the head included."""
        return self._file.size

    @abstractmethod
    def write(self, result: PoseResult) -> None:
        """Append a result.

        Raises:
            OutputError: the disk is full or gone. Lines written before stay readable.
            ClosedError: the sink was closed.
        """

    def __call__(self, result: PoseResult) -> None:
        """Do the same as :meth:`write`."""
        self.write(result)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()


def _binary(stream: Any) -> BinaryIO:
    writes = all(callable(getattr(stream, name, None)) for name in ("write", "flush"))
    if not writes or isinstance(stream, io.TextIOBase):
        raise ConfigError(
            "Lines are written to a path or to an open binary stream, such as "
            f"sys.stdout.buffer; got {type(stream).__name__}."
        )
    opened: BinaryIO = stream
    return opened
