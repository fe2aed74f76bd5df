"""Frames from video files, images, cameras, network streams and programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from edgepose_runtime.capture.base import DEFAULT_FPS, CapturedFrame, FrameSource, require_fps
from edgepose_runtime.capture.settings import LiveSettings
from edgepose_runtime.errors import ConfigError, SourceError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.files import exists, is_printable_utf8, shown
from edgepose_runtime.redaction import redact

# OpenCV takes no larger number.
_LAST_CAMERA = 2**31 - 1

__all__ = [
    "DEFAULT_FPS",
    "CapturedFrame",
    "EventKind",
    "FrameSource",
    "LiveSettings",
    "StreamEvent",
    "open_source",
    "redact",
]


def open_source(
    source: str | Path | int | Iterable[Any] | Callable[[], Any],
    *,
    fps: float | None = None,
    allow_damaged: bool = False,
    live: LiveSettings | None = None,
    on_event: Callable[[StreamEvent], None] | None = None,
) -> FrameSource:
    """Open anything that frames come from.

    Args:
        source: the path of a video, an image or a folder of images; a camera's number, also as
            text; the address of a stream, such as ``rtsp://user:password@camera/1``; an iterable
            of images (arrays) or :class:`CapturedFrame`; or a function that returns the next one,
            and None at the end.
        fps: frames per second of images and programs (30 if None, except that frames of a function
            are then timed by a clock); videos, cameras and streams have times of their own.
        allow_damaged: deliver the frames of a damaged file that can be decoded and log the rest,
            instead of raising when they are delivered.
        live: how patient cameras and streams are, and how they come back after a loss.
        on_event: called when the source is lost, back or at its end, on the thread that iterates.

    Raises:
        SourceError: it is missing, empty or cannot be read.
        ConfigError: frames cannot come from such an object, or an option has no such value.
    """
    require_fps(fps)
    if live is not None and not isinstance(live, LiveSettings):
        raise ConfigError(f"live must be LiveSettings(...) or None; got {live!r}.")
    if on_event is not None and not callable(on_event):
        raise ConfigError(f"on_event must be a function or None; got {on_event!r}.")
    opened = _open(source, fps, allow_damaged, live)
    if on_event is not None:
        opened.subscribe(on_event)
    return opened


def _open(
    source: object, fps: float | None, allow_damaged: bool, live: LiveSettings | None
) -> FrameSource:
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, (str, Path)):
        return _open_named(str(source), fps, allow_damaged, live)
    if type(source) is not bool and isinstance(source, Integral):
        return _open_camera(int(source), live)
    return _open_program(source, fps)


def _open_named(
    source: str, fps: float | None, allow_damaged: bool, live: LiveSettings | None
) -> FrameSource:
    if not source:
        raise SourceError("The source is an empty path; give that of a video or of images.")
    path = Path(source)
    if not exists(path):
        if source.isdecimal():
            return _open_camera(int(source), live)
        if "://" in source:
            return _open_address(source, live)
        raise SourceError(f"There is no file {shown(source)}; check the path.")
    from edgepose_runtime.capture import images, video

    if path.is_dir():
        return images.open_folder(path, fps=fps, allow_damaged=allow_damaged)
    if path.suffix.lower() in images.IMAGE_SUFFIXES:
        return images.open_image(path, fps=fps)
    return video.VideoSource(path, allow_damaged=allow_damaged)


def _open_camera(index: int, live: LiveSettings | None) -> FrameSource:
    from edgepose_runtime.capture.connections import connect_camera
    from edgepose_runtime.capture.live import LiveSource

    if not 0 <= index <= _LAST_CAMERA:
        raise SourceError(f"Cameras are numbered from 0; there is none with number {index}.")
    return LiveSource(f"camera {index}", partial(connect_camera, index), settings=live)


def _open_address(address: str, live: LiveSettings | None) -> FrameSource:
    from edgepose_runtime.capture.connections import SCHEMES, connect_address
    from edgepose_runtime.capture.live import LiveSource

    if address.partition("://")[0].lower() not in SCHEMES:
        raise SourceError(
            f"{shown(address)} cannot be opened; an address begins with one of "
            f"{', '.join(SCHEMES)}."
        )
    if not is_printable_utf8(address):
        raise SourceError(
            f"{shown(address)} cannot be opened: an address is UTF-8 text without control "
            "characters; write others as % and two hexadecimal digits."
        )
    settings = live or LiveSettings()
    return LiveSource(address, partial(connect_address, address, settings), settings=settings)


def _open_program(source: object, fps: float | None) -> FrameSource:
    from edgepose_runtime.capture.programs import CallableSource, IterableSource

    if isinstance(source, np.ndarray) and source.ndim in (2, 3):
        source = [source]  # one image: iterating over it would give its rows
    if isinstance(source, Iterable):
        return IterableSource(source, fps=fps)
    if callable(source):
        return CallableSource(source, fps=fps)
    raise ConfigError(
        f"Frames cannot come from a {type(source).__name__}; give a path, an address, a camera's "
        "number, a function or an iterable of images."
    )
