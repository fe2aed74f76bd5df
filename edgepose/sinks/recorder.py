"""Videos of the sources of a pool, encoded on threads of their own."""

from __future__ import annotations

import logging
import re
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.drawing import DEFAULT_STYLE, DrawingStyle, draw_result
from edgepose.results import PoseResult
from edgepose.sinks.timeline import MAX_GAP_S, TimedVideo
from edgepose.utils.output_files import make_folder
from edgepose_runtime.checks import is_whole_number
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ClosedError, ConfigError, EdgePoseError, OutputError
from edgepose_runtime.files import as_path

logger = logging.getLogger("edgepose")

Image = NDArray[np.uint8]

_NO_FILE_NAME = re.compile(r"[^\w.-]+")
_LONGEST_NAME = 100


@dataclass(frozen=True, slots=True)
class RecorderStats:
    """What became of the frames of a source.

    Attributes:
        written: frames in the videos, without those repeated to keep the time.
        skipped: frames between two pictures of the video, which has fewer per second.
        dropped: frames that the encoder was too slow for, or that came after an error.
        error: with which the recording of this source ended, or ``None``.
    """

    written: int = 0
    skipped: int = 0
    dropped: int = 0
    error: EdgePoseError | None = None


class Recorder(Closable):
    """Records each source of a pool in a video, with its poses; an ``on_frame`` target.

    ::

        with Recorder("recordings", fps=15) as recorder:
            with TrackerPool("ppn-swift", on_frame=recorder) as pool:
                pool.add("rtsp://camera/1", "door")
                pool.wait()

    A call returns at once: each source is encoded on a thread of its own. When that is too slow,
    the frames that waited longest are dropped, and counted. A video plays at the speed at which it
    was recorded, whatever was dropped: pictures are repeated where frames are missing. After a gap
    of ``max_gap_s`` in the timestamps, or when they start anew, a further file begins.

    Args:
        folder: of the videos, which are named after their sources; it is made if need be.
        fps: pictures per second of the videos.
        ending: ``.webm`` for browsers, ``.mp4``, or ``.avi``, which is readable at any time; see
            :class:`~edgepose.sinks.VideoSink`.
        style: how poses are drawn; ``None`` to draw nothing.
        max_waiting: frames of a source that may wait for the encoder.
        max_gap_s: longest time without a frame that a video shows as a still picture.

    Raises:
        ConfigError: an option has no such value.
        OutputError: the folder cannot be made.
    """

    def __init__(
        self,
        folder: str | Path,
        *,
        fps: float = 25.0,
        ending: str = ".mp4",
        style: DrawingStyle | None = DEFAULT_STYLE,
        max_waiting: int = 30,
        max_gap_s: float = MAX_GAP_S,
    ) -> None:
        if not is_whole_number(max_waiting) or max_waiting < 1:
            raise ConfigError(f"max_waiting must be 1 or more frames; got {max_waiting!r}.")
        self._folder = as_path(folder)
        self._style = style
        self._max_waiting = int(max_waiting)
        self._ending, self._fps, self._max_gap_s = ending, fps, max_gap_s
        self._video(self._folder / "video")  # refuses wrong options at once
        make_folder(self._folder)
        self._lock = threading.Lock()
        self._recordings: dict[str, _Recording] = {}
        self._closed = False

    def __call__(self, name: str, frame: Image, result: PoseResult) -> None:
        """Take a frame with its result. It must not be changed afterwards.

        Args:
            name: of the source.
            frame: uint8 BGR (H, W, 3).
            result: its result.

        Raises:
            ClosedError: the recorder was closed.
        """
        with self._lock:
            if self._closed:
                raise ClosedError("The recorder was closed; make a new one.")
            recording = self._recordings.get(name)
            if recording is None:
                video = self._video(self._folder / self._file_name(name))
                recording = _Recording(name, video, self._style, self._max_waiting)
                self._recordings[name] = recording
        recording.put(frame, result)

    @property
    def stats(self) -> Mapping[str, RecorderStats]:
        """What became of the frames, by source."""
        with self._lock:
            return {name: each.stats() for name, each in self._recordings.items()}

    def close(self) -> None:
        """Encode what waits, and finish the videos; a second call does nothing.

        Raises:
            OutputError: a video could not be written; the others are finished.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            recordings = list(self._recordings.values())
        for recording in recordings:
            recording.end()
        errors = [error for each in recordings if (error := each.stats().error) is not None]
        if errors:
            raise errors[0]

    def _video(self, path: Path) -> TimedVideo:
        return TimedVideo(path, self._ending, fps=self._fps, max_gap_s=self._max_gap_s)

    def _file_name(self, name: str) -> str:
        """Return a name that any system takes, and no other source has."""
        safe = _NO_FILE_NAME.sub("_", name).strip("._")[:_LONGEST_NAME] or "source"
        taken = {each.video.path.name for each in self._recordings.values()}
        number = 1
        while (found := safe if number == 1 else f"{safe}_{number}") in taken:
            number += 1
        return found


class _Recording:
    """One source: what waits, and the thread that draws and encodes it."""

    def __init__(
        self, name: str, video: TimedVideo, style: DrawingStyle | None, max_waiting: int
    ) -> None:
        self.video = video
        self._style = style
        self._waiting: deque[tuple[Image, PoseResult]] = deque()
        self._max_waiting = max_waiting
        self._changed = threading.Condition()
        self._ending = False
        self._dropped = 0
        self._error: EdgePoseError | None = None
        self._thread = threading.Thread(target=self._run, name=f"edgepose-record {name}")
        self._thread.daemon = True
        self._thread.start()

    def put(self, frame: Image, result: PoseResult) -> None:
        """Add a frame, and drop the one that waited longest if there are too many."""
        with self._changed:
            if self._error is not None:
                self._dropped += 1
                return
            self._waiting.append((frame, result))
            if len(self._waiting) > self._max_waiting:
                self._waiting.popleft()
                self._dropped += 1
            self._changed.notify_all()

    def end(self) -> None:
        """Encode what waits, and wait for that."""
        with self._changed:
            self._ending = True
            self._changed.notify_all()
        self._thread.join()

    def stats(self) -> RecorderStats:
        """Return what became of the frames."""
        with self._changed:
            return RecorderStats(
                self.video.num_written, self.video.num_skipped, self._dropped, self._error
            )

    def _run(self) -> None:
        try:
            while (taken := self._take()) is not None:
                frame, result = taken
                image = frame if self._style is None else draw_result(frame, result, self._style)
                self.video.write(image, result.timestamp_ms)
            self.video.close()
        except Exception as error:  # noqa: BLE001 - it reaches close(), and the statistics
            self._fail(error)

    def _take(self) -> tuple[Image, PoseResult] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ending)
            return self._waiting.popleft() if self._waiting else None

    def _fail(self, error: Exception) -> None:
        logger.error("The recording '%s' ended: %s", self.video.path, error)
        with self._changed:
            self._error = (
                error if isinstance(error, EdgePoseError) else OutputError(f"Recording: {error}")
            )
            self._dropped += len(self._waiting) + 1
            self._waiting.clear()
