"""Cameras and network addresses, as OpenCV opens them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import cv2

from edgepose_runtime.capture.settings import LiveSettings
from edgepose_runtime.errors import SourceError
from edgepose_runtime.files import is_printable_utf8
from edgepose_runtime.redaction import redact
from edgepose_runtime.tensors import Array

#: What the addresses of streams begin with.
SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "rtmps", "rtp", "srt", "udp", "tcp")

# OpenCV gives up a little before our deadline, so that its thread ends and is not left behind.
_SHARE_OF_DEADLINE = 0.8


class Connection(Protocol):
    """A live source while it is open. One thread uses it, and may wait in any call for ever."""

    @property
    def fps(self) -> float | None:
        """Frames per second, if known."""

    @property
    def finished(self) -> bool:
        """Whether the stream has come to the end that it announced, rather than failed."""

    def read(self) -> Array | None:
        """Wait for the next frame; return None if it cannot be had or decoded.

        Raises:
            SourceError: no further frame will come.
        """

    def close(self) -> None:
        """Release the source."""


class OpenCvConnection:
    """A source that OpenCV opened."""

    def __init__(self, capture: Any) -> None:
        self._capture = capture
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps: float | None = fps if 0 < fps < 1000 else None
        # A video file behind an http address has an end; live streams announce none.
        self._num_frames = float(capture.get(cv2.CAP_PROP_FRAME_COUNT))
        self._delivered = 0

    @property
    def finished(self) -> bool:
        """Whether all announced frames were read."""
        return 0 < self._num_frames <= self._delivered

    def read(self) -> Array | None:
        """Return the next frame, None if it cannot be had or decoded."""
        try:
            read, image = self._capture.read()
        except cv2.error as error:
            raise SourceError(f"OpenCV failed: {redact(str(error))}") from None
        if not read or image is None or not image.size:
            return None
        self._delivered += 1
        result: Array = image
        return result

    def close(self) -> None:
        """Release the source."""
        self._capture.release()


def connect_camera(
    index: int, open_device: Callable[[int], Any] = cv2.VideoCapture
) -> OpenCvConnection:
    """Open a camera by its number.

    Raises:
        SourceError: there is no such camera, or another program holds it.
    """
    device = open_device(index)
    if not device.isOpened():
        raise SourceError(
            f"The camera {index} cannot be opened: it is not connected, or another program is "
            "using it."
        )
    return OpenCvConnection(device)


def connect_pipeline(
    pipeline: str, open_stream: Callable[[str, int], Any] = cv2.VideoCapture
) -> OpenCvConnection:
    """Open a GStreamer pipeline, whose last element is an ``appsink``.

    Raises:
        SourceError: OpenCV has no GStreamer, or the pipeline does not run.
    """
    if not is_printable_utf8(pipeline):
        raise SourceError("A GStreamer pipeline is UTF-8 text without control characters.")
    if cv2.CAP_GSTREAMER not in cv2.videoio_registry.getBackends():
        raise SourceError(
            "This OpenCV was built without GStreamer, as those of PyPI are; use one of your system "
            "or of the board's vendor, or pull frames from an appsink yourself and give them to "
            "tracker.submit()."
        )
    stream = open_stream(pipeline, cv2.CAP_GSTREAMER)
    if not stream.isOpened():
        raise SourceError(
            "The GStreamer pipeline does not run; try it with gst-launch-1.0, and let it end in "
            "'videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1'."
        )
    return OpenCvConnection(stream)


def connect_address(
    address: str,
    settings: LiveSettings,
    open_stream: Callable[[str, int, list[int]], Any] = cv2.VideoCapture,
) -> OpenCvConnection:
    """Open a network address, with OpenCV's FFmpeg keeping the deadlines.

    Raises:
        SourceError: nothing answers there, or it is not a video stream.
    """
    options = [
        cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
        round(settings.open_timeout_s * 1000 * _SHARE_OF_DEADLINE),
        cv2.CAP_PROP_READ_TIMEOUT_MSEC,
        round(settings.read_timeout_s * 1000 * _SHARE_OF_DEADLINE),
    ]
    stream = open_stream(address, cv2.CAP_FFMPEG, options)
    if not stream.isOpened():
        raise SourceError(
            f"{redact(address)} cannot be opened: nothing answers there, the user name or "
            "password is wrong, or it is not a video stream."
        )
    return OpenCvConnection(stream)
