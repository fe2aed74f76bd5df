"""Video files."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from pathlib import Path

import cv2

from edgepose_runtime.capture.base import FrameSource, logger
from edgepose_runtime.capture.containers import missing_bytes
from edgepose_runtime.errors import SourceError
from edgepose_runtime.files import exists, shown
from edgepose_runtime.tensors import Array

# A frame that cannot be decoded reads like the end of the file, but later reads succeed.
_FAILED_READS = 32
# A step in time that is longer than this many frames is worth a warning.
_LONG_STEP = 3.0
# Files on a network may never answer: then close() goes on without.
_CLOSE_TIMEOUT_S = 1.0
# No camera is that fast: browsers and screen recorders write the ticks of their clock as the rate.
_IMPOSSIBLE_FPS = 1000.0


class VideoSource(FrameSource):
    """A video file, with the times that its container gives to the frames.

    Raises:
        SourceError: the file is missing, empty, cut off before the first frame, or not a video;
            it is a pipe or a device; its name is none that OpenCV can open.
    """

    def __init__(self, path: Path, *, allow_damaged: bool = False) -> None:
        _require_file(path)
        self._path = path
        # OpenCV frees what another thread is still reading from.
        self._lock = threading.Lock()
        self._capture = cv2.VideoCapture(str(path), _file_api())
        if not self._capture.isOpened():
            raise SourceError(_why_not_opened(path))
        super().__init__(
            str(path),
            fps=_rate(self._capture.get(cv2.CAP_PROP_FPS)),
            num_frames=_whole(self._capture.get(cv2.CAP_PROP_FRAME_COUNT)),
            allow_damaged=allow_damaged,
        )

    def stop(self) -> None:
        """Have an iteration end at its next frame."""
        super().close()

    def close(self) -> None:
        """Release the file; one whose read does not return is left to it, with a warning."""
        super().close()
        if not self._lock.acquire(timeout=_CLOSE_TIMEOUT_S):
            logger.warning("%s: a read does not return; the file stays open.", self.name)
            return
        try:
            self._capture.release()
        finally:
            self._lock.release()

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        delivered, last = 0, 0.0
        while (image := self._read(delivered, last)) is not None:
            with self._lock:
                timestamp = self._capture.get(cv2.CAP_PROP_POS_MSEC)
            self._watch_step(last, timestamp)
            yield image, timestamp
            delivered, last = delivered + 1, timestamp
        missing = missing_bytes(self._path)
        if missing:
            after = f" after the frame at {last / 1000:.2f} s" if delivered else ""
            self.problems.append(
                f"The file is cut off: at least {missing} bytes are missing{after}."
            )

    def _read(self, delivered: int, last: float) -> Array | None:
        """Return the next frame that decodes, None at the end."""
        for failures in range(_FAILED_READS):
            with self._lock:
                read, image = self._capture.read()
            if read:
                if failures:
                    self.problems.append(
                        f"Frames after {last / 1000:.2f} s cannot be decoded: {failures} of them."
                    )
                return image
            if self.num_frames is not None and delivered + failures >= self.num_frames:
                return None
        return None

    def _watch_step(self, last: float, timestamp: float) -> None:
        if timestamp - last > _LONG_STEP * self.interval_ms:
            logger.warning(
                "%s has no frame between %.2f s and %.2f s.",
                self.name,
                last / 1000,
                timestamp / 1000,
            )


def has_utf8_name(path: Path) -> bool:
    """Return whether OpenCV can be given a path: others, which Linux allows, crash it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_file(path: Path) -> None:
    if not has_utf8_name(path):
        raise SourceError(f"OpenCV cannot open {str(path)!a}: the name is not UTF-8; rename it.")
    if not exists(path):
        raise SourceError(f"There is no file {shown(path)}; check the path.")
    if not path.is_file():
        raise SourceError(
            f"{path} is a pipe or a device, and a video must be a file; save the video first, or "
            "give a camera's number."
        )
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise SourceError(f"{path} cannot be read: {error}.") from error
    if empty:
        raise SourceError(f"The file {path} is empty; it holds no video.")


def _file_api() -> int:
    """Return FFmpeg where OpenCV has it: others open text files and numbered images as videos."""
    apis = cv2.videoio_registry.getStreamBackends()
    return cv2.CAP_FFMPEG if cv2.CAP_FFMPEG in apis else cv2.CAP_ANY


def _why_not_opened(path: Path) -> str:
    missing = missing_bytes(path)
    if missing:
        return f"The video {path} is cut off: at least {missing} bytes are missing at its end."
    return f"The file {path} is not a video that OpenCV can read, or it is damaged."


def _rate(value: float) -> float | None:
    return _positive(value) if value < _IMPOSSIBLE_FPS else None


def _positive(value: float) -> float | None:
    return value if math.isfinite(value) and value > 0 else None


def _whole(value: float) -> int | None:
    found = _positive(value)
    return None if found is None else round(found)
