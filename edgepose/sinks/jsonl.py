"""Results as JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edgepose.results import Person, PoseResult
from edgepose.sinks.lines import LineSink
from edgepose_runtime.poses.skeletons import Skeleton

FORMAT = "edgepose.poses"
#: One person a line.
VERSION = 1
#: A list of people a line.
VERSION_OF_SEVERAL = 2


class JsonlSink(LineSink):
    """Writes a header line, then one line per result, each on disk before the call returns.

    A joint that was not seen is ``[null, null, 0.0]``, as JSON has no NaN. Coordinates are rounded
    to 0.001 pixels.

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
        self._record = people_record if several else result_record
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
        self._file.append(_line(self._record(result)))


def _line(record: Mapping[str, Any]) -> bytes:
    line = json.dumps(record, allow_nan=False, ensure_ascii=False)
    # A path that is not UTF-8 holds lone surrogates, which JSON can only have escaped.
    return line.encode(errors="backslashreplace") + b"\n"


def result_record(result: PoseResult) -> dict[str, Any]:
    """Return a result of one person as plain values for JSON: a line of version 1."""
    record: dict[str, Any] = {
        "frame": result.frame_id,
        "timestamp_ms": round(result.timestamp_ms, 3),
        "keypoints": _joints(result.keypoints),
        "roi": None if result.roi is None else _rounded(result.roi),
        "origin": None if result.origin is None else result.origin.value,
        "key_frame_age": result.key_frame_age,
        "latency_ms": _latency(result),
    }
    if result.reason is not None:
        record["reason"] = result.reason
    return record


def people_record(result: PoseResult) -> dict[str, Any]:
    """Return a result of any number of people as plain values for JSON: a line of version 2."""
    return {
        "frame": result.frame_id,
        "timestamp_ms": round(result.timestamp_ms, 3),
        "people": [_person(person) for person in result.people],
        "reason": result.reason,
        "latency_ms": _latency(result),
    }


def _person(person: Person) -> dict[str, Any]:
    return {
        "person": person.person_id,
        "keypoints": _joints(person.keypoints),
        "score": round(person.score, 4),
        "roi": _rounded(person.roi),
        "origin": person.origin.value,
        "key_frame_age": person.key_frame_age,
        "state": person.state.value,
    }


def _latency(result: PoseResult) -> dict[str, float]:
    return {stage: round(ms, 3) for stage, ms in result.latency.items()}


def _rounded(roi: tuple[float, ...]) -> list[float]:
    return [round(value, 3) for value in roi]


def _joints(keypoints: NDArray[np.float32] | None) -> list[list[float | None]] | None:
    if keypoints is None:
        return None
    return [
        [_number(x), _number(y), round(score, 4) if np.isfinite(score) else 0.0]
        for x, y, score in keypoints.astype(float).tolist()
    ]


def _number(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None
