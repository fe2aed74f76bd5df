"""Image folders and single images."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from edgepose_runtime.capture.base import FrameSource
from edgepose_runtime.errors import SourceError
from edgepose_runtime.files import exists, read_regular, shown
from edgepose_runtime.tensors import Array

#: Endings, in lower case, of the files that are read as images.
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
#: Of videos, for an advice.
_VIDEO_SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")

#: Bytes of an image file, at most.
LARGEST_IMAGE_FILE = 512 << 20

_JPEG_START, _JPEG_SCAN, _JPEG_END = b"\xff\xd8", b"\xff\xda", b"\xff\xd9"


class ImageSource(FrameSource):
    """Image files, one frame each, ``fps`` of them per second. They may differ in size."""

    def __init__(
        self, name: str, paths: list[Path], *, fps: float | None, allow_damaged: bool
    ) -> None:
        super().__init__(name, fps=fps, num_frames=len(paths), allow_damaged=allow_damaged)
        self._paths = paths

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        for index, path in enumerate(self._paths):
            try:
                image = read_image(path)
            except SourceError as error:
                self.problems.append(str(error))
            else:
                yield image, index * self.interval_ms


def open_folder(folder: Path, *, fps: float | None, allow_damaged: bool) -> FrameSource:
    """Return the images of a folder, ordered as people count: 2.jpg before 10.jpg.

    Raises:
        SourceError: it cannot be read, or holds no image.
    """
    try:
        found = list(folder.iterdir())
        paths = [path for path in found if _is_image(path)]
    except OSError as error:
        raise SourceError(f"The folder {folder} cannot be read: {error}.") from error
    if not paths:
        videos = any(path.suffix.lower() in _VIDEO_SUFFIXES for path in found)
        advice = " It holds videos: give one of them, or all to 'edgepose archive'."
        raise SourceError(
            f"The folder {folder} holds no image; files must end in {', '.join(IMAGE_SUFFIXES)}."
            f"{advice * videos}"
        )
    paths.sort(key=_natural)
    return ImageSource(str(folder), paths, fps=fps, allow_damaged=allow_damaged)


def open_image(path: Path, *, fps: float | None) -> FrameSource:
    """Return a single image as a source of one frame.

    Raises:
        SourceError: there is no such file.
    """
    if not exists(path):
        raise SourceError(f"There is no file {shown(path)}; check the path.")
    return ImageSource(str(path), [path], fps=fps, allow_damaged=False)


def read_image(path: Path) -> Array:
    """Return an image file as uint8 BGR (H, W, 3), turned upright.

    Raises:
        SourceError: it is missing, empty, cut off, or not an image.
    """
    try:
        content = read_regular(path, LARGEST_IMAGE_FILE)
    except OSError as error:
        raise SourceError(f"The image {shown(path)} cannot be read: {error}.") from error
    return decode_image(content, str(path))


def decode_image(content: bytes, name: str) -> Array:
    """Return an encoded image as uint8 BGR (H, W, 3), turned upright.

    Args:
        content: an image file's content.
        name: what to call it in an error.

    Raises:
        SourceError: it is empty, cut off, or not an image.
    """
    if not content:
        raise SourceError(f"The image {name} is empty.")
    image = None
    if not _is_cut_off(content):
        # Decoded from memory, since OpenCV opens no paths with letters that Windows cannot spell.
        with contextlib.suppress(cv2.error):  # a header that promises billions of pixels
            image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)
    if image is None:
        raise SourceError(f"The image {name} is cut off or not an image.")
    return image


def _is_image(path: Path) -> bool:
    # macOS leaves files such as ._1.jpg on foreign disks, which hold no image.
    return path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")


def _is_cut_off(content: bytes) -> bool:
    """Tell a JPEG whose last scan has no end: some decoders fill the rest with grey."""
    is_jpeg = content.startswith(_JPEG_START)
    return is_jpeg and content.rfind(_JPEG_END) < content.rfind(_JPEG_SCAN)


def _natural(path: Path) -> list[tuple[int, str]]:
    parts = re.findall(r"\d+|\D+", path.name.lower())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
