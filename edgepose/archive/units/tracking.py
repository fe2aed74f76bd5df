"""Tracking one unit: a range of a video in, a Parquet file out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import cv2

from edgepose.archive.plan import Unit
from edgepose.archive.settings import TrackSettings
from edgepose.archive.units.ranges import VideoRange
from edgepose.inference.model import load
from edgepose.offline.tracker import KeyFrameTracking
from edgepose.offline.windows import WINDOW
from edgepose.pose_files.schema import require_pyarrow
from edgepose.results import PoseResult
from edgepose.sinks.parquet import ParquetSink
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import CapturedFrame

#: Called after each frame that was read.
Heartbeat = Callable[[], object]


@dataclass(frozen=True, slots=True)
class UnitSummary:
    """What came out of a unit.

    Attributes:
        frames: frames in its range.
        with_person: those of them with a pose.
        poses: rows of people.
        seconds: how long it took.
    """

    frames: int = 0
    with_person: int = 0
    poses: int = 0
    seconds: float = 0.0


class UnitTracker:
    """Tracks units one after the other with networks that are loaded once.

    Args:
        settings: how to track.
        overlap: so many frames before a range are tracked, too.
        metadata: for the files that are written.

    Raises:
        EdgePoseError: the model cannot be loaded.
    """

    def __init__(self, settings: TrackSettings, overlap: int, metadata: Mapping[str, Any]) -> None:
        require_pyarrow()  # now, so that no unit waits for the import
        # A core for each worker: what decodes and resizes must not take the others'.
        os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "threads;1")
        cv2.setNumThreads(1)
        self._settings, self._overlap, self._metadata = settings, overlap, dict(metadata)
        self._refine = settings.refinement()
        self._model = load(
            settings.model,
            backend=settings.backend,
            device=settings.device,
            precision=settings.precision,
            num_threads=settings.num_threads,
        )
        with self._tracker() as tracker:
            tracker.warmup()

    def track(self, unit: Unit, out: Path, heartbeat: Heartbeat) -> UnitSummary:
        """Write the poses of a unit to a file, whole or not at all.

        The file has the frames before the range, too, which identities are joined by; how many,
        the metadata of the file say.

        Raises:
            SourceError: the video cannot be read, or a part of it is damaged.
            OutputError: the file cannot be written.
            EdgePoseError: tracking failed.
        """
        began = time.monotonic()
        first = max(0, unit.start - self._overlap)
        sink = ParquetSink(
            out,
            skeleton=self._model.skeleton,
            video=unit.video,
            metadata={**self._metadata, **_facts(unit), "overlap": unit.start - first},
        )
        try:
            summary = self._write(unit, first, sink, heartbeat)
            sink.close()
        finally:
            sink.discard()
        return replace(summary, seconds=time.monotonic() - began)

    def _write(
        self, unit: Unit, first: int, sink: ParquetSink, heartbeat: Heartbeat
    ) -> UnitSummary:
        frames = with_person = poses = 0
        damaged = self._settings.allow_damaged
        source = VideoRange(Path(unit.path), first, allow_damaged=damaged)
        with closing(source):
            for result in self._results(unit, first, source, heartbeat):
                frame = first + result.frame_id
                if unit.stop is not None and frame >= unit.stop:
                    continue
                sink.write(replace(result, frame_id=frame))
                if frame >= unit.start:
                    frames += 1
                    with_person += bool(result.people)
                    poses += len(result.people)
        return UnitSummary(frames, with_person, poses)

    def _results(
        self, unit: Unit, first: int, source: VideoRange, heartbeat: Heartbeat
    ) -> Iterator[PoseResult]:
        stop = None if unit.stop is None else unit.stop + self._frames_after() - first
        frames = _counted(islice(source, stop), heartbeat)
        if self._settings.selects_key_frames:
            tracking = KeyFrameTracking(self._model, rate=self._settings.max_key_rate)
            yield from (result for _, result in tracking.track(frames))
            return
        with self._tracker() as tracker:
            if self._refine is not None and self._refine.lag_frames:
                yield from tracker.stream(frames)
                return
            for frame in frames:
                yield tracker.track(frame.image, timestamp_ms=frame.timestamp_ms)

    def _frames_after(self) -> int:
        """Return how many frames after a range its poses depend on."""
        if self._settings.selects_key_frames:
            return 2 * WINDOW
        return 0 if self._refine is None else self._refine.lag_frames

    def _tracker(self) -> PoseTracker:
        settings = self._settings
        return PoseTracker(
            self._model,
            smoothing=settings.smoothing,
            reinitialise_every=settings.reinitialise_every,
            search_budget=settings.search_budget,
            max_people=settings.several or 1,
            key_frames=settings.live_key_frames(),
            refine=self._refine,
        )


def _facts(unit: Unit) -> dict[str, Any]:
    return {
        "unit": unit.unit,
        "fingerprint": unit.fingerprint,
        "start": unit.start,
        "stop": unit.stop,
    }


def _counted(frames: Iterable[CapturedFrame], heartbeat: Heartbeat) -> Iterator[CapturedFrame]:
    for frame in frames:
        yield frame
        heartbeat()
