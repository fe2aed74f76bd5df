"""Cameras that the operating system knows by a number."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import cv2

from edgepose_runtime.capture.base import FrameSource
from edgepose_runtime.errors import SourceError
from edgepose_runtime.tensors import Array


class CameraSource(FrameSource):
    """A camera; the time of a frame is when it arrived, counted from the opening.

    Args:
        index: the camera's number, 0 for the first.
        open_device: opens a camera by number.
        clock: seconds that only go forward.

    Raises:
        SourceError: there is no such camera, or another program holds it.
    """

    is_live = True

    def __init__(
        self,
        index: int,
        *,
        open_device: Callable[[int], Any] = cv2.VideoCapture,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._device = open_device(index)
        if not self._device.isOpened():
            raise SourceError(
                f"The camera {index} cannot be opened: it is not connected, or another program "
                "is using it."
            )
        fps = self._device.get(cv2.CAP_PROP_FPS)
        super().__init__(f"camera {index}", fps=fps if fps > 0 else None)
        self._clock = clock
        self._opened = clock()

    def close(self) -> None:
        """Let go of the camera."""
        super().close()
        self._device.release()

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        while True:
            read, image = self._device.read()
            if not read:
                raise SourceError(f"The {self.name} stopped delivering frames.")
            yield image, (self._clock() - self._opened) * 1000
