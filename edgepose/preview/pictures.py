"""Pictures with poses as JPEG: encoded once for all viewers, and only while someone looks."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.drawing import DrawingStyle, draw_result
from edgepose.preview.settings import PreviewSettings
from edgepose.results import Box, PoseResult
from edgepose.utils.priority import give_way
from edgepose_runtime.geometry.crop import as_bgr

Image = NDArray[np.uint8]

#: The part of one core's time that drawing and encoding may take.
SHARE_OF_A_CORE = 0.25
_STYLE = DrawingStyle(show_roi=True)


class PictureEncoder:
    """Draws and encodes on a thread of its own what trackers hand over.

    Each source has a mailbox for one frame: a newer one takes the place of one that was not
    encoded yet, so that a tracker never waits. Frames that nobody would see are not even copied.

    Args:
        settings: rate, width and quality.
        publish: called with source and JPEG file on the encoding thread.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        settings: PreviewSettings,
        publish: Callable[[str, bytes], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._publish = publish
        self._clock = clock
        self._changed = threading.Condition()
        self._watched: Counter[str] = Counter()
        self._due_s: dict[str, float] = {}
        self._mailbox: dict[str, tuple[Image, PoseResult]] = {}
        self._closed = threading.Event()
        self.num_encoded = 0
        self._thread = threading.Thread(target=self._run, name="edgepose-preview-jpeg", daemon=True)
        self._thread.start()

    def watch(self, source: str) -> None:
        """Encode the pictures of a source from now on; once for each viewer."""
        with self._changed:
            self._watched[source] += 1

    def unwatch(self, source: str) -> bool:
        """Take back a :meth:`watch`, and return whether others still look."""
        with self._changed:
            self._watched[source] -= 1
            if self._watched[source]:
                return True
            del self._watched[source]
            self._mailbox.pop(source, None)
            self._due_s.pop(source, None)
            return False

    def offer(self, source: str, frame: Image, result: PoseResult) -> None:
        """Hand over a frame with its result; it is copied if it will be shown."""
        if source not in self._watched:
            return
        now_s = self._clock()
        with self._changed:
            if source not in self._watched or now_s < self._due_s.get(source, 0.0):
                return
            self._due_s[source] = now_s + 1 / self._settings.max_fps
            self._mailbox[source] = (np.array(frame), result)
            self._changed.notify()

    def close(self) -> None:
        """End the thread; a second call does nothing."""
        self._closed.set()
        with self._changed:
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        give_way()
        while (taken := self._take()) is not None:
            began_s = time.perf_counter()
            source, frame, result = taken
            self._publish(source, self._encode(frame, result))
            self.num_encoded += 1
            took_s = time.perf_counter() - began_s
            self._closed.wait(took_s * (1 / SHARE_OF_A_CORE - 1))

    def _take(self) -> tuple[str, Image, PoseResult] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._mailbox or self._closed.is_set())
            if self._closed.is_set():
                return None
            source = next(iter(self._mailbox))  # the one that waits longest
            frame, result = self._mailbox.pop(source)
            return source, frame, result

    def _encode(self, frame: Image, result: PoseResult) -> bytes:
        small, scale = shrink(as_bgr(frame), self._settings.max_width)
        drawn = draw_result(small, scaled_result(result, scale), _STYLE)
        quality = [cv2.IMWRITE_JPEG_QUALITY, self._settings.quality]
        _, encoded = cv2.imencode(".jpg", drawn, quality)
        return encoded.tobytes()


def shrink(frame: Image, max_width: int) -> tuple[Image, float]:
    """Return a frame of at most so many pixels of width, and by what it was scaled."""
    height, width = frame.shape[:2]
    if width <= max_width:
        return frame, 1.0
    scale = max_width / width
    size = (max_width, max(1, round(height * scale)))
    small = cv2.resize(frame, size, interpolation=cv2.INTER_AREA)
    return small.astype(np.uint8, copy=False), scale


def scaled_result(result: PoseResult, scale: float) -> PoseResult:
    """Return a result in the pixels of a scaled frame."""
    if scale == 1.0:
        return result
    people = result.several
    return replace(
        result,
        keypoints=None if result.keypoints is None else _scaled_joints(result.keypoints, scale),
        roi=None if result.roi is None else _scaled_box(result.roi, scale),
        several=people
        and tuple(
            replace(
                person,
                keypoints=_scaled_joints(person.keypoints, scale),
                roi=_scaled_box(person.roi, scale),
            )
            for person in people
        ),
    )


def _scaled_joints(keypoints: NDArray[np.float32], scale: float) -> NDArray[np.float32]:
    scaled = keypoints.copy()
    # Pixel centres are at integers: the corner of the frame is at -0.5.
    scaled[:, :2] = (keypoints[:, :2] + 0.5) * scale - 0.5
    return scaled


def _scaled_box(box: Box, scale: float) -> Box:
    x, y, width, height = box
    return (x + 0.5) * scale - 0.5, (y + 0.5) * scale - 0.5, width * scale, height * scale
