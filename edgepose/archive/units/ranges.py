"""Exact ranges of frames of a video file."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.capture.video import VideoSource
from edgepose_runtime.errors import SourceError

#: First tries of a seek go so many frames back; the last one to the beginning.
_STEPS_BACK = (4, 64, 600)
#: Times of the same frame differ by rounding alone, in ms.
_SAME_MS = 0.01


class VideoRange(VideoSource):
    """A video file from a given frame on, numbered from there, with the times of the file.

    Where the file ends before that frame there is none, and no error.

    Args:
        path: the file.
        start: the first frame, counted from 0.
        allow_damaged: see :func:`edgepose.open_source`.

    Raises:
        SourceError: as of :class:`VideoSource`.
    """

    def __init__(self, path: Path, start: int, *, allow_damaged: bool = False) -> None:
        super().__init__(path, allow_damaged=allow_damaged)
        self._start = start
        if start:
            self._go_to(start)

    def _go_to(self, start: int) -> None:
        """Have the next read return frame ``start``."""
        times = frame_times(self._path)
        if times is not None and start < len(times):
            for back in _STEPS_BACK:
                if back < start and self._try_from(start - back, start, times):
                    return
        self._skip(start)

    def _try_from(self, begin: int, start: int, times: NDArray[np.float64]) -> bool:
        """Seek to about a frame and read on to ``start``; return whether it was found."""
        interval = (times[-1] - times[0]) / (len(times) - 1)
        # OpenCV seeks by the mean rate, which is that of the times.
        self._capture.set(cv2.CAP_PROP_POS_FRAMES, round((times[begin] - times[0]) / interval))
        last = times[start - 1]
        while self._capture.grab():
            time = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            if time > last - _SAME_MS:
                return bool(time < last + _SAME_MS)
        return False

    def _skip(self, start: int) -> None:
        """Read from the beginning."""
        self._capture.release()
        if not self._capture.open(str(self._path), cv2.CAP_FFMPEG):
            raise SourceError(f"The video {self._path} cannot be opened a second time.")
        for _ in range(start):
            if not self._capture.grab():
                return

    def _finish(self, delivered: int) -> None:
        """Refuse a file without a frame, and damage, but no end before the range."""
        super()._finish(delivered or self._start)

    def _watch_step(self, last: float, timestamp: float) -> None:
        """Warn of gaps, but not before the range."""
        if last:
            super()._watch_step(last, timestamp)


def frame_times(path: Path) -> NDArray[np.float64] | None:
    """Return the times of all frames in ms, (N,), in the order they are shown.

    Nothing is decoded. ``None`` where times are missing or the same twice.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    try:
        found = []
        while capture.grab():
            found.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    finally:
        capture.release()
    times = np.array(sorted(found))
    rises = all(later - earlier > _SAME_MS for earlier, later in pairwise(times.tolist()))
    return times if len(times) > 1 and np.isfinite(times).all() and rises else None
