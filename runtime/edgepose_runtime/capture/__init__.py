"""Frames from video files, images, cameras, network streams and programs."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np

from edgepose_runtime.capture.base import DEFAULT_FPS, CapturedFrame, FrameSource, require_fps
from edgepose_runtime.capture.settings import LiveSettings
from edgepose_runtime.errors import ConfigError, SourceError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.files import exists, is_printable_utf8, shown
from edgepose_runtime.geometry.image_types import ColorOrder, require_color
from edgepose_runtime.redaction import redact

# OpenCV takes no larger number.
_LAST_CAMERA = 2**31 - 1
# As Linux names cameras; the links of /dev/v4l lead there.
_CAMERA_DEVICE = re.compile(r"/dev/video(\d{1,6})")
# Between the elements of a GStreamer pipeline.
_PIPELINE_LINK = " ! "

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
    color: ColorOrder = "bgr",
    allow_damaged: bool = False,
    live: LiveSettings | None = None,
    on_event: Callable[[StreamEvent], None] | None = None,
) -> FrameSource:
    """Open anything that frames come from.

    Example:
        >>> with open_source("samples/clips/balance.mp4") as source:
        ...     source.num_frames, source.fps, next(iter(source)).image.shape
        (100, 60.0, (960, 540, 3))

    Args:
        source: the path of a video, an image or a folder of images, also as ``file://``; a
            camera's number, also as text, or its device, such as ``/dev/video0`` or a link in
            ``/dev/v4l/by-id``; a GStreamer pipeline that ends in ``appsink``, where OpenCV was
            built with it; the address of a stream, such as ``rtsp://user:password@camera/1``; an
            iterable of images (arrays, or images of Pillow, PyAV or PyTorch) or
            :class:`CapturedFrame`; or a function that returns the next one, and None at the end.
        fps: frames per second of images and programs (30 if None, except that frames of a function
            are then timed by a clock); videos, cameras and streams have times of their own, and so
            have frames of PyAV.
        color: order of the colours in arrays that a program hands over, ``"bgr"`` or ``"rgb"``.
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
    require_color(color)
    opened = _open(source, fps, color, allow_damaged, live)
    if on_event is not None:
        opened.subscribe(on_event)
    return opened


def _open(
    source: object,
    fps: float | None,
    color: ColorOrder,
    allow_damaged: bool,
    live: LiveSettings | None,
) -> FrameSource:
    if isinstance(source, FrameSource):
        return source
    if isinstance(source, (str, Path)):
        return _open_named(str(source), fps, allow_damaged, live)
    if type(source) is not bool and isinstance(source, Integral):
        return _open_camera(int(source), live)
    return _open_program(source, fps, color)


def _open_named(
    source: str, fps: float | None, allow_damaged: bool, live: LiveSettings | None
) -> FrameSource:
    if not source:
        raise SourceError("The source is an empty path; give that of a video or of images.")
    path = _local_path(source)
    camera = _CAMERA_DEVICE.fullmatch(str(_resolved(path)))
    if camera is not None:
        return _open_camera(int(camera[1]), live)
    if not exists(path):
        return _open_live(source, live)
    from edgepose_runtime.capture import images, video

    if path.is_dir():
        return images.open_folder(path, fps=fps, allow_damaged=allow_damaged)
    if path.suffix.lower() in images.IMAGE_SUFFIXES:
        return images.open_image(path, fps=fps)
    return video.VideoSource(path, allow_damaged=allow_damaged)


def _open_live(source: str, live: LiveSettings | None) -> FrameSource:
    """Open a name that is no file: a camera's number, a pipeline or an address."""
    if source.isdecimal():
        return _open_camera(int(source), live)
    if _PIPELINE_LINK in source:
        return _open_pipeline(source, live)
    if "://" in source and not source.lower().startswith("file:"):
        return _open_address(source, live)
    raise SourceError(f"There is no file {shown(source)}; check the path.")


def _local_path(source: str) -> Path:
    """Return a path, also of a ``file://`` address."""
    parts = source.partition("://")
    if parts[0].lower() != "file":
        return Path(source)
    host, slash, path = parts[2].partition("/")
    if host not in ("", "localhost"):
        raise SourceError(f"{shown(source)} is on another machine; give file:///PATH.")
    return Path(unquote(slash + path))


def _resolved(path: Path) -> Path:
    """Return what a link leads to, such as one of /dev/v4l/by-id; the path where it is none."""
    try:
        return path.resolve()
    except (OSError, ValueError, RuntimeError):
        return path


def _open_pipeline(pipeline: str, live: LiveSettings | None) -> FrameSource:
    from edgepose_runtime.capture.connections import connect_pipeline
    from edgepose_runtime.capture.live import LiveSource

    settings = live or LiveSettings()
    connect = partial(connect_pipeline, pipeline)
    return LiveSource("a GStreamer pipeline", connect, settings=settings)


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


def _open_program(source: object, fps: float | None, color: ColorOrder) -> FrameSource:
    from edgepose_runtime.capture.programs import CallableSource, IterableSource

    if isinstance(source, np.ndarray) and source.ndim in (2, 3):
        source = [source]  # one image: iterating over it would give its rows
    if isinstance(source, Iterable):
        return IterableSource(source, fps=fps, color=color)
    if callable(source):
        return CallableSource(source, fps=fps, color=color)
    raise ConfigError(
        f"Frames cannot come from a {type(source).__name__}; give a path, an address, a camera's "
        "number, a function or an iterable of images."
    )
