"""The frames of a clip, decoded one after the other: from a file per frame, or from a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from edgepose.datasets.records import Image, decode_picture
from edgepose_runtime.errors import DataError


@dataclass(frozen=True)
class PictureFiles:
    """The frames of a clip that is published as one picture per frame."""

    paths: tuple[Path, ...]

    def __call__(self) -> Iterator[Image]:
        """Decode one after the other."""
        return (decode_picture(path, str(path)) for path in self.paths)


@dataclass(frozen=True)
class VideoFile:
    """The frames of a clip that is a video of `count` frames."""

    path: Path
    count: int

    def __call__(self) -> Iterator[Image]:
        """Decode one after the other."""
        return decode_frames(self.path, self.count)


def decode_frames(path: Path, count: int) -> Iterator[Image]:
    """Yield the ``count`` frames of a video file, uint8 (H, W, 3) BGR.

    Raises:
        DataError: the file is missing, is no video, or has fewer or more frames.
    """
    capture = _open(path)
    try:
        for index in range(count):
            decoded, image = capture.read()
            if not decoded:
                raise DataError(f"'{path}' ends after {index} of its {count} annotated frames.")
            yield np.asarray(image, np.uint8)
        if capture.grab():
            raise DataError(f"'{path}' has more than its {count} annotated frames.")
    finally:
        capture.release()


def frame_rate(path: Path) -> float:
    """Return the frames per second that a video file announces; 25 if it does not.

    Raises:
        DataError: the file is missing or is no video.
    """
    capture = _open(path)
    try:
        return float(capture.get(cv2.CAP_PROP_FPS)) or 25.0
    finally:
        capture.release()


def _open(path: Path) -> cv2.VideoCapture:
    capture = cv2.VideoCapture(str(path))
    if not capture.isOpened():
        raise DataError(f"The clip '{path}' is missing or is not a video that OpenCV can decode.")
    return capture
