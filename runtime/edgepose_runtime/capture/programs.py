"""Frames that a program hands over."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sized
from typing import Any

import numpy as np

from edgepose_runtime.capture.base import CapturedFrame, FrameSource
from edgepose_runtime.errors import FrameError
from edgepose_runtime.geometry.crop import as_bgr
from edgepose_runtime.geometry.image_types import ColorOrder, time_of
from edgepose_runtime.tensors import Array


class IterableSource(FrameSource):
    """Frames from any iterable: images, or captured frames with times of their own."""

    def __init__(
        self, frames: Iterable[Any], *, fps: float | None, color: ColorOrder = "bgr"
    ) -> None:
        num_frames = len(frames) if isinstance(frames, Sized) else None
        super().__init__(f"frames of a {type(frames).__name__}", fps=fps, num_frames=num_frames)
        self._iterable = frames
        self._color = color

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        for frame in self._iterable:
            yield _image_and_time(frame, self._color)


class CallableSource(FrameSource):
    """Frames from a function that is called for each, until it returns None.

    The time of an image is when the function returned it, unless ``fps`` says how fast they come.

    Args:
        take: returns an image, a captured frame with a time of its own, or None at the end.
        fps: frames per second.
        color: order of the colours in arrays.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        take: Callable[[], Any],
        *,
        fps: float | None,
        color: ColorOrder = "bgr",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(f"frames of {getattr(take, '__name__', type(take).__name__)}()", fps=fps)
        self._take = take
        self._color = color
        self._clock = clock

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        while (frame := self._take()) is not None:
            image, given = _image_and_time(frame, self._color)
            yield image, self._clock() * 1000 if given is None and self.fps is None else given


def _image_and_time(frame: Any, color: ColorOrder) -> tuple[Array, float | None]:
    if isinstance(frame, CapturedFrame):
        return _own(frame.image, color), frame.timestamp_ms
    return _own(frame, color), time_of(frame)


def _own(image: Any, color: ColorOrder) -> Any:
    """Copy an image: programs like to fill the same array again, while the last frame waits."""
    if isinstance(image, np.ndarray) and color == "bgr":
        return image.copy()
    try:
        converted = as_bgr(image, color)
    except FrameError:
        return image  # refused where it is tracked, so that the next one can be
    shared = isinstance(image, np.ndarray) and np.may_share_memory(converted, image)
    return converted.copy() if shared else converted
