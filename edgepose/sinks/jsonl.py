"""Results as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.results import PoseResult
from edgepose.sinks.lines import LineSink
from edgepose_runtime.poses.skeletons import Skeleton

FORMAT = "edgepose.poses"
VERSION = 1


class JsonlSink(LineSink):
    """Writes a header line, then one line per result, each on disk before the call returns.

    A joint that was not seen is ``[null, null, 0.0]``, as JSON has no NaN. Coordinates are rounded
    to 0.001 pixels.

    Args:
        path: the file; one that exists is replaced.
        skeleton: names the joints.
        model: name of the model, for the header.
        source: where the frames come from, for the header.
        engine: what the networks run on, for the header, such as device and precision in use.

    Raises:
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        skeleton: Skeleton,
        model: str,
        source: str,
        engine: Mapping[str, str] | None = None,
    ) -> None:
        header: dict[str, Any] = {
            "format": FORMAT,
            "version": VERSION,
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
        self._file.append(_line(result_record(result)))


def _line(record: Mapping[str, Any]) -> bytes:
    line = json.dumps(record, allow_nan=False, ensure_ascii=False)
    # A path that is not UTF-8 holds lone surrogates, which JSON can only have escaped.
    return line.encode(errors="backslashreplace") + b"\n"


def result_record(result: PoseResult) -> dict[str, Any]:
    """Return a result as plain values for JSON."""
    record: dict[str, Any] = {
        "frame": result.frame_id,
        "timestamp_ms": round(result.timestamp_ms, 3),
        "keypoints": _joints(result.keypoints),
        "roi": None if result.roi is None else [round(value, 3) for value in result.roi],
        "origin": None if result.origin is None else result.origin.value,
        "key_frame_age": result.key_frame_age,
        "latency_ms": {stage: round(ms, 3) for stage, ms in result.latency.items()},
    }
    if result.reason is not None:
        record["reason"] = result.reason
    return record


def _joints(keypoints: NDArray[np.float32] | None) -> list[list[float | None]] | None:
    if keypoints is None:
        return None
    return [
        [_number(x), _number(y), round(score, 4) if np.isfinite(score) else 0.0]
        for x, y, score in keypoints.astype(float).tolist()
    ]


def _number(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None
