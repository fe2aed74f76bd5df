"""Results as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from edgepose.pose_files.jsonl import FORMAT, VERSION, VERSION_OF_SEVERAL
from edgepose.results import PoseResult
from edgepose.sinks.lines import LineSink
from edgepose_runtime.poses.skeletons import Skeleton


class JsonlSink(LineSink):
    """Writes a header line, then one line per result, each on disk before the call returns.

    A joint that was not seen is ``[null, null, 0.0]``, as JSON has no NaN. Coordinates are rounded
    to 0.001 pixels.

    Example:
        >>> facts = {"skeleton": result.skeleton, "model": "ppn-swift", "source": "walk.mp4"}
        >>> with JsonlSink("poses.jsonl", **facts) as sink:
        ...     sink.write(result)

    Args:
        path: the file; one that exists is replaced. Or an open binary stream, which stays open.
        skeleton: names the joints.
        model: name of the model, for the header.
        source: where the frames come from, for the header.
        engine: what the networks run on, for the header, such as device and precision in use.
        several: write version 2, whose lines have a list of people. Version 1 has the joints of one
            person, of several the main one.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path | BinaryIO,
        *,
        skeleton: Skeleton,
        model: str,
        source: str,
        engine: Mapping[str, str] | None = None,
        several: bool = False,
    ) -> None:
        self._several = several
        header: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION_OF_SEVERAL if several else VERSION,
            "skeleton": skeleton.name,
            "joints": list(skeleton.joints),
            "model": model,
            "source": source,
        }
        if engine:
            header["engine"] = dict(engine)
        super().__init__(path, _line(header))

    def write(self, result: PoseResult) -> None:
        """Append a result; see :meth:`LineSink.write`."""
        self._file.append(_line(result.to_dict(several=self._several)))


def _line(record: Mapping[str, Any]) -> bytes:
    line = json.dumps(record, allow_nan=False, ensure_ascii=False)
    # A path that is not UTF-8 holds lone surrogates, which JSON can only have escaped.
    return line.encode(errors="backslashreplace") + b"\n"
