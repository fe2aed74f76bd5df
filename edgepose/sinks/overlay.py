"""Overlay video of what ``submit()`` tracks."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edgepose.drawing import DEFAULT_STYLE, DrawingStyle, draw_result
from edgepose.results import PoseResult
from edgepose.sinks.video import VideoSink
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ConfigError

Image = NDArray[np.uint8]


class OverlaySink(Closable):
    """Draws each result on its frame and writes it to a video; an ``on_result`` target.

    A result does not carry its frame, so the frames are handed over too::

        with OverlaySink("out.avi", fps=25) as overlay, PoseTracker(on_result=overlay) as tracker:
            for frame in source:
                overlay.add_frame(tracker.submit(frame.image), frame.image)

    Whichever of the two comes last writes. Frames that got no result are left out of the video. At
    most ``capacity`` frames wait; when there are more, the oldest goes and is counted. Frames may
    be added in one thread while results come in another.

    Args:
        path: a ``.avi``, readable at any time, or a ``.mp4``, readable when it is closed.
        fps: frames per second.
        style: colours and thresholds.
        capacity: how many frames to keep, 1 or more.

    Raises:
        ConfigError: the file's ending, the rate or the capacity is none that can be used.
        OutputError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float,
        style: DrawingStyle = DEFAULT_STYLE,
        capacity: int = 64,
    ) -> None:
        if capacity < 1:
            raise ConfigError(f"capacity must be 1 or more, got {capacity}.")
        self._video = VideoSink(path, fps=fps)
        self._style = style
        self._capacity = capacity
        self._lock = threading.Lock()
        self._frames: dict[int, Image] = {}
        self._results: dict[int, PoseResult] = {}
        self.num_forgotten = 0

    def add_frame(self, frame_id: int, frame: Image) -> None:
        """Hand over a frame that was submitted; it is copied.

        Args:
            frame_id: what ``submit()`` returned.
            frame: uint8 BGR (H, W, 3), or another that the tracker takes.

        Raises:
            OutputError: the disk is full or gone.
            ClosedError: the sink was closed.
        """
        with self._lock:
            result = self._results.pop(frame_id, None)
            if result is not None:
                self._write(frame, result)
                return
            self._frames[frame_id] = np.array(frame)
            self._forget_oldest(self._frames)

    def __call__(self, result: PoseResult) -> None:
        """Take a result.

        Raises:
            OutputError: the disk is full or gone.
            ClosedError: the sink was closed.
        """
        with self._lock:
            frame = self._frames.pop(result.frame_id, None)
            if frame is not None:
                self._write(frame, result)
                return
            self._results[result.frame_id] = result
            self._forget_oldest(self._results)

    def close(self) -> None:
        """Finish the video; a second call does nothing.

        Raises:
            OutputError: the file could not be finished, as when the disk is full.
        """
        with self._lock:
            self._frames.clear()
            self._results.clear()
            self._video.close()

    def _write(self, frame: Image, result: PoseResult) -> None:
        # Results come in order, so frames before this one were dropped or failed.
        for frame_id in [known for known in self._frames if known < result.frame_id]:
            del self._frames[frame_id]
        self._video.write(draw_result(frame, result, self._style))

    def _forget_oldest(self, kept: dict[int, Image] | dict[int, PoseResult]) -> None:
        if len(kept) > self._capacity:
            del kept[next(iter(kept))]
            self.num_forgotten += 1
