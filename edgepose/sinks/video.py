"""Overlay video."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.sinks.avi import AviWriter
from edgepose.utils.output_files import create_file
from edgepose_runtime.capture.video import has_utf8_name
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ClosedError, ConfigError, OutputError
from edgepose_runtime.geometry.crop import as_bgr

Image = NDArray[np.uint8]

_ENDINGS = (".mp4", ".avi")
# That codec every build of OpenCV has.
_MP4_CODEC = "mp4v"
# Encoders refuse odd or tiny pictures, and MPEG-4 refuses sides above 8191.
_SMALLEST_SIDE, _LARGEST_SIDE = 16, 4096


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
    is smaller, and becomes readable when it is closed. For one thread at a time.

    Args:
        path: a ``.mp4`` or ``.avi`` file; one that exists is replaced.
        fps: frames per second.

    Raises:
        ConfigError: the file's name, its ending or the rate is none that can be written.
        OutputError: the file cannot be written, or this OpenCV has no encoder for it.
    """

    def __init__(self, path: str | Path, *, fps: float) -> None:
        self._path = Path(path)
        _check_name(self._path)
        if not 0 < fps < 1000:
            raise ConfigError(f"A video needs a rate above 0 and below 1000 fps, got {fps}.")
        self._fps = fps
        self._size: tuple[int, int] | None = None
        self._closed = False
        create_file(self._path).close()
        try:
            # Finds out before the work, rather than after the first frame, that nothing encodes.
            self._writer: Encoder = self._open((_SMALLEST_SIDE, _SMALLEST_SIDE))
        except OutputError:
            self._path.unlink()
            raise

    def write(self, frame: Image) -> None:
        """Append a frame, uint8 BGR (H, W, 3).

        Raises:
            FrameError: the frame is empty, or of another type.
            OutputError: the encoder refuses the size of the first frame, or the disk is full; the
                latter is noticed with ``.avi`` files alone.
            ClosedError: the sink was closed.
        """
        if self._closed:
            raise ClosedError(f"The video '{self._path}' was closed; open a new sink.")
        frame = as_bgr(frame)
        if self._size is None:
            self._writer.release()
            self._size = _canvas_size(frame)
            self._writer = self._open(self._size)
        self._writer.write(fit_into(frame, self._size))

    def close(self) -> None:
        """Finish the file; a second call does nothing. Without frames no file is left.

        Raises:
            OutputError: the file could not be finished, as when the disk is full.
        """
        if self._closed:
            return
        self._closed = True
        self._writer.release()
        if self._size is None:
            self._path.unlink(missing_ok=True)
        elif not self._path.is_file() or not self._path.stat().st_size:
            raise OutputError(f"The video '{self._path}' could not be finished: is the disk full?")

    def _open(self, size: tuple[int, int]) -> Encoder:
        if self._path.suffix.lower() == ".avi":
            return AviWriter(self._path, size, self._fps)
        code = cv2.VideoWriter.fourcc(*_MP4_CODEC)
        writer = cv2.VideoWriter(str(self._path), code, self._fps, size)
        if not writer.isOpened():
            raise OutputError(
                f"This OpenCV cannot encode '{self._path}' as {_MP4_CODEC} with "
                f"{size[0]}x{size[1]} pixels; try a .avi file."
            )
        return writer


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


def _check_name(path: Path) -> None:
    if not has_utf8_name(path):
        raise ConfigError(f"OpenCV cannot write to {str(path)!a}: the name is not UTF-8.")
    if path.suffix.lower() not in _ENDINGS:
        raise ConfigError(f"A video must end in {' or '.join(_ENDINGS)}, but '{path}' was given.")


def _canvas_size(frame: Image) -> tuple[int, int]:
    height, width = frame.shape[:2]
    scale = min(1.0, _LARGEST_SIDE / max(width, height))
    sides = (max(_SMALLEST_SIDE, round(side * scale)) for side in (width, height))
    even_width, even_height = (side + side % 2 for side in sides)
    return even_width, even_height
