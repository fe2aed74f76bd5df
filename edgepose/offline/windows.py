"""A video in windows, with the key frames of each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from edgepose.offline.selection import Features, Selector
from edgepose_runtime.capture import CapturedFrame
from edgepose_runtime.geometry.crop import Image, as_bgr, crop_frame
from edgepose_runtime.geometry.roi import Roi

#: Frames of a window, as in the paper.
WINDOW = 40
#: Side of the thumbnails that frames are compared by.
THUMBNAIL = 24

Describe = Callable[[Image], Features]


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Consecutive frames, and which of them are key frames.

    Attributes:
        frames: as the source delivered them.
        keys: numbers of the key frames in this window, rising, at least one.
    """

    frames: list[CapturedFrame]
    keys: list[int]


def thumbnail(image: Image) -> Features:
    """Describe a frame by a small picture of its middle square, float32 (M,): what changes where.

    Args:
        image: uint8 BGR (H, W, 3).
    """
    return middle_square(image, THUMBNAIL)


def middle_square(image: Image, size: int) -> Features:
    """Return the middle square of a frame as pixels of so small a picture, float32 (size²·3,)."""
    small: Features = middle_crop(image, size).astype(np.float32).ravel()
    return small


def middle_crop(image: Image, size: int, share: float = 1.0) -> Image:
    """Return the middle square of a frame, uint8 BGR (size, size, 3).

    Args:
        image: uint8 BGR (H, W, 3).
        size: of what is returned.
        share: of the frame's shorter side that the square has.
    """
    height, width = image.shape[:2]
    middle = Roi.around(((width - 1) / 2, (height - 1) / 2), share * min(width, height))
    return crop_frame(image, middle, size)


def windows_of(
    frames: Iterable[CapturedFrame],
    select: Selector,
    *,
    rate: float | None = None,
    describe: Describe = thumbnail,
    length: int = WINDOW,
) -> Iterator[Window]:
    """Cut a video into windows and choose their key frames; each frame is in one window.

    Args:
        frames: read as they are needed; no more than a window of them is kept.
        select: chooses.
        rate: the part of the frames to choose, ``None`` for as many as are worth it.
        describe: what a frame is compared by.
        length: frames of a window; the last one may be shorter.
    """
    held: list[CapturedFrame] = []
    features: list[Features] = []
    for frame in frames:
        held.append(frame)
        features.append(describe(as_bgr(frame.image)))
        if len(held) == length:
            yield _window(held, features, select, rate)
            held, features = [], []
    if held:
        yield _window(held, features, select, rate)


def _window(
    frames: list[CapturedFrame], features: list[Features], select: Selector, rate: float | None
) -> Window:
    count = None if rate is None else max(1, round(rate * len(frames)))
    return Window(frames, select(np.stack(features), count))
