"""Videos that keep the time: each picture is shown when its frame was taken."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.sinks.video import VideoSink, check_video
from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ConfigError

Image = NDArray[np.uint8]

#: Longest gap in the timestamps, in seconds, that a video shows as a still picture.
MAX_GAP_S = 10.0


class TimedVideo(Closable):
    """Writes frames with timestamps to videos of a constant rate. For one thread at a time.

    The picture of each moment is that of the last frame before it: frames that come more often
    than pictures are skipped, and pictures are repeated where frames are missing.

    Attributes:
        path: of the videos, without number and ending.
        num_written: frames that were written.
        num_skipped: frames that were not, because the next picture was not due.

    Args:
        path: without ending; further files have a number, as in ``door-2.mp4``.
        ending: see :class:`VideoSink`.
        fps: pictures per second.
        max_gap_s: after a longer gap, or a step back in time, a further file begins.

    Raises:
        ConfigError: an option has no such value.
    """

    def __init__(
        self, path: Path, ending: str, *, fps: float, max_gap_s: float = MAX_GAP_S
    ) -> None:
        if not is_finite_number(max_gap_s) or max_gap_s <= 0:
            raise ConfigError(f"max_gap_s must be above 0 seconds; got {max_gap_s!r}.")
        if not isinstance(ending, str):
            raise ConfigError(f"The ending of videos must be a text; got {ending!r}.")
        check_video(Path(f"{path}{ending}"), fps)
        self.path = path
        self.num_written = self.num_skipped = 0
        self._ending, self._fps = ending, float(fps)
        self._max_pictures = max(1, round(max_gap_s * self._fps))
        self._num_files = 0
        self._video: VideoSink | None = None
        self._start_ms = 0.0
        self._next = 0  # number of the picture that is due next
        self._last: Image | None = None

    def write(self, frame: Image, timestamp_ms: float) -> None:
        """Show a frame, uint8 BGR (H, W, 3), from this time on.

        Raises:
            OutputError: the file cannot be written.
        """
        number = self._number(timestamp_ms)
        if self._video is None or not -1 <= number - self._next < self._max_pictures:
            self._begin(timestamp_ms)
            number = 0
        if number < self._next:
            self.num_skipped += 1
            return
        for _ in range(self._next, number):
            self._show(self._last)
        self._show(frame)
        self._last = frame
        self._next = number + 1
        self.num_written += 1

    def close(self) -> None:
        """Finish the file; a second call does nothing.

        Raises:
            OutputError: it cannot be finished.
        """
        video, self._video = self._video, None
        if video is not None:
            video.close()

    def _number(self, timestamp_ms: float) -> int:
        return round((timestamp_ms - self._start_ms) * self._fps / 1000)

    def _show(self, image: Image | None) -> None:
        if self._video is not None and image is not None:
            self._video.write(image)

    def _begin(self, timestamp_ms: float) -> None:
        self.close()
        self._num_files += 1
        number = "" if self._num_files == 1 else f"-{self._num_files}"
        self._video = VideoSink(f"{self.path}{number}{self._ending}", fps=self._fps)
        self._start_ms, self._next, self._last = timestamp_ms, 0, None
