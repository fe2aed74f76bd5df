"""Frames from video files, images, cameras and programs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgepose_runtime.capture.base import DEFAULT_FPS, CapturedFrame, FrameSource, require_fps
from edgepose_runtime.errors import ConfigError, SourceError

# OpenCV takes no larger number.
_LAST_CAMERA = 2**31 - 1

__all__ = ["DEFAULT_FPS", "CapturedFrame", "FrameSource", "open_source"]


def open_source(
    source: str | Path | int | Iterable[Any],
    *,
    fps: float | None = None,
    allow_damaged: bool = False,
) -> FrameSource:
    """Open anything that frames come from.

    Args:
        source: the path of a video, an image or a folder of images; a camera's number, also as
            text; or an iterable of images (arrays) or :class:`CapturedFrame`.
        fps: frames per second of images and iterables (30 if None); videos and cameras have times
            of their own.
        allow_damaged: deliver the frames of a damaged file that can be decoded and log the rest,
            instead of raising when they are delivered.

    Raises:
        SourceError: it is missing, empty or cannot be read.
        ConfigError: frames cannot come from such an object, or ``fps`` is no frame rate.
    """
    require_fps(fps)
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, (str, Path)):
        return _open_named(str(source), fps, allow_damaged)
    if isinstance(source, int) and not isinstance(source, bool):
        return _open_camera(source)
    return _open_iterable(source, fps)


def _open_named(source: str, fps: float | None, allow_damaged: bool) -> FrameSource:
    path = Path(source)
    if source.isdecimal() and not path.exists():
        return _open_camera(int(source))
    if "://" in source:
        raise SourceError(
            f"{source} is a network address, which this version cannot open; give a file, a folder "
            "of images or a camera's number."
        )
    from edgepose_runtime.capture import images, video

    if path.is_dir():
        return images.open_folder(path, fps=fps, allow_damaged=allow_damaged)
    if path.suffix.lower() in images.IMAGE_SUFFIXES:
        return images.open_image(path, fps=fps)
    return video.VideoSource(path, allow_damaged=allow_damaged)


def _open_camera(index: int) -> FrameSource:
    from edgepose_runtime.capture.camera import CameraSource

    if not 0 <= index <= _LAST_CAMERA:
        raise SourceError(f"Cameras are numbered from 0; there is none with number {index}.")
    return CameraSource(index)


def _open_iterable(source: object, fps: float | None) -> FrameSource:
    from edgepose_runtime.capture.images import IterableSource

    if isinstance(source, np.ndarray) and source.ndim in (2, 3):
        source = [source]  # one image: iterating over it would give its rows
    if not isinstance(source, Iterable):
        raise ConfigError(
            f"Frames cannot come from a {type(source).__name__}; give a path, a camera's number or "
            "an iterable of images."
        )
    return IterableSource(source, fps=fps)
