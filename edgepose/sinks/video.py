"""Overlay video."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.sinks.avi import AviWriter
from edgepose.utils.output_files import check_writable
from edgepose.utils.standard_streams import quiet_stderr
from edgepose_runtime.capture.containers import missing_bytes
from edgepose_runtime.capture.video import has_utf8_name
from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ClosedError, ConfigError, OutputError
from edgepose_runtime.files import as_path
from edgepose_runtime.geometry.crop import as_bgr

Image = NDArray[np.uint8]

#: What is tried for each ending, best first, by OpenCV's names. Browsers play H.264 (avc1), which
#: builds of OpenCV from distributions can often encode, and VP8; MPEG-4 Part 2 (mp4v) every build
#: can, and video players know it.
CODECS = {".mp4": ("avc1", "mp4v"), ".webm": ("VP80",), ".avi": ("MJPG",)}
# Encoders refuse odd or tiny pictures, and MPEG-4 refuses sides above 8191.
_SMALLEST_SIDE, _LARGEST_SIDE = 16, 4096
# Hardware encoders have smallest sizes of their own.
_TRIED_SIDE = 256


class Encoder(Protocol):
    """What OpenCV's video writer can do."""

    def write(self, frame: Image, /) -> object:
        """Append a frame."""

    def release(self) -> None:
        """Finish the file."""


class VideoSink(Closable):
    """Writes frames to a video whose size is that of the first frame.

    Frames of another size are scaled into it, with black borders where the shape differs. An
    ``.avi`` is readable at any time, frame by frame, also when the program is killed; an ``.mp4``
    or ``.webm`` is smaller, grows beside its place (as ``name.unfinished.mp4``) and is moved there
    when it is closed and whole. For one thread at a time.

    Browsers play ``.webm`` (VP8, which takes several times the work of MPEG-4), and ``.mp4`` where
    this OpenCV encodes H.264; else an ``.mp4`` has MPEG-4 Part 2.

    Example:
        >>> with VideoSink("overlay.avi", fps=30) as video:
        ...     video.write(edgepose.draw_result(frame, result))

    Attributes:
        codec: OpenCV's name of the codec in use: ``avc1``, ``mp4v``, ``VP80`` or ``MJPG``.

    Args:
        path: a ``.mp4``, ``.webm`` or ``.avi`` file; one that exists is replaced, an ``.avi`` with
            the first frame.
        fps: frames per second.

    Raises:
        ConfigError: the file's name, its ending or the rate is none that can be written.
        OutputError: the file cannot be written, or this OpenCV has no encoder for it.
    """

    def __init__(self, path: str | Path, *, fps: float) -> None:
        self._path = as_path(path)
        check_video(self._path, fps)
        self._fps = fps
        self._size: tuple[int, int] | None = None
        self._writer: Encoder | None = None
        self._num_frames = 0
        self._closed = False
        check_writable(self._path)
        self._target = self._path.resolve()
        ending = self._path.suffix.lower()
        self._is_avi = ending == ".avi"
        if not self._is_avi:
            self._target = self._target.with_name(f"{self._target.stem}.unfinished{ending}")
        self.codec = CODECS[ending][0] if self._is_avi else _working_codec(self._target, fps)

    def write(self, frame: Image) -> None:
        """Append a frame, uint8 BGR (H, W, 3).

        Raises:
            FrameError: the frame is empty, or of another type.
            OutputError: the encoder refuses the size of the first frame, or the disk is full; of
                ``.mp4`` files the latter is noticed at the end.
            ClosedError: the sink was closed.
        """
        if self._closed:
            raise ClosedError(f"The video '{self._path}' was closed; open a new sink.")
        frame = as_bgr(frame)
        if self._writer is None or self._size is None:
            self._size = _canvas_size(frame)
            self._writer = self._open(self._size)
        self._writer.write(fit_into(frame, self._size))
        self._num_frames += 1

    def close(self) -> None:
        """Finish the file; a second call does nothing. Without frames nothing is written.

        Raises:
            OutputError: the file could not be finished, as when the disk is full. An earlier one
                at its place is then still there.
        """
        if self._closed:
            return
        self._closed = True
        if self._writer is None:
            return
        self._writer.release()
        if not self._is_avi:
            self._move_into_place()

    def _move_into_place(self) -> None:
        """Check the file itself: OpenCV's encoder does not report a full disk."""
        readable = _count_frames(self._target)
        if readable < self._num_frames:
            self._target.unlink(missing_ok=True)
            raise OutputError(
                f"The video '{self._path}' could not be finished: {readable} of {self._num_frames} "
                "frames can be read. Is the disk full? A .avi keeps what was written."
            )
        try:
            self._target.replace(self._path.resolve())
        except OSError as error:
            raise OutputError(
                f"The video '{self._target}' cannot be moved to '{self._path}': {error.strerror}."
            ) from error

    def _open(self, size: tuple[int, int]) -> Encoder:
        if self._is_avi:
            return AviWriter(self._path, size, self._fps)
        return _open_encoder(self._target, self.codec, self._fps, size)


def _open_encoder(path: Path, codec: str, fps: float, size: tuple[int, int]) -> Encoder:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), fps, size)
    if not writer.isOpened():
        raise OutputError(
            f"This OpenCV cannot encode '{path}' as {codec} with {size[0]}x{size[1]} pixels, "
            "or the disk is full; try a .avi file."
        )
    encoder: Encoder = writer
    return encoder


def _working_codec(path: Path, fps: float) -> str:
    """Find out before the work, rather than after the first frame, what encodes."""
    names = CODECS[path.suffix]
    size = (_SMALLEST_SIDE, _SMALLEST_SIDE)
    try:
        for name in names[:-1]:
            if can_encode(name, path.suffix):
                return name
        _open_encoder(path, names[-1], fps, size).release()
        return names[-1]
    finally:
        path.unlink(missing_ok=True)


@cache
def can_encode(codec: str, ending: str) -> bool:
    """Return whether this OpenCV has an encoder, found out by a try in a folder of its own."""
    size = (_TRIED_SIDE, _TRIED_SIDE)
    try:
        # FFmpeg would report as errors what is none: that there is no such encoder.
        with TemporaryDirectory() as folder, quiet_stderr():
            _open_encoder(Path(folder) / f"try{ending}", codec, 25, size).release()
            return True
    except (OutputError, OSError):
        return False


def _count_frames(path: Path) -> int:
    """Return how many frames of a whole file can be read, 0 if it is not whole."""
    if not path.is_file() or (path.suffix == ".mp4" and missing_bytes(path)):
        return 0
    capture = cv2.VideoCapture(str(path))
    try:
        return int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) if capture.isOpened() else 0
    finally:
        capture.release()


def fit_into(frame: Image, size: tuple[int, int]) -> Image:
    """Scale a frame into (width, height), keeping its shape, with black on the right and below."""
    height, width = frame.shape[:2]
    if (width, height) == size:
        return frame
    scale = min(size[0] / width, size[1] / height)
    # A pixel of padding to an even side is no reason to resample the picture.
    if scale > 1 and size[0] - width <= 1 and size[1] - height <= 1:
        scale = 1
    scaled = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scaled != (width, height):
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        frame = cv2.resize(frame, scaled, interpolation=how).astype(np.uint8, copy=False)
    canvas: Image = np.zeros((size[1], size[0], 3), np.uint8)
    canvas[: scaled[1], : scaled[0]] = frame
    return canvas


def check_video(path: Path, fps: float) -> None:
    """Refuse names and rates that no video can have.

    Raises:
        ConfigError: the file's name, its ending or the rate is none that can be written.
    """
    if not is_finite_number(fps) or not 0 < fps < 1000:
        raise ConfigError(f"A video needs a rate above 0 and below 1000 fps, got {fps}.")
    if not has_utf8_name(path):
        raise ConfigError(f"OpenCV cannot write to {str(path)!a}: the name is not UTF-8.")
    if path.suffix.lower() not in CODECS:
        raise ConfigError(f"A video must end in {' or '.join(CODECS)}, but '{path}' was given.")


def _canvas_size(frame: Image) -> tuple[int, int]:
    height, width = frame.shape[:2]
    scale = min(1.0, _LARGEST_SIDE / max(width, height))
    sides = (max(_SMALLEST_SIDE, round(side * scale)) for side in (width, height))
    even_width, even_height = (side + side % 2 for side in sides)
    return even_width, even_height
