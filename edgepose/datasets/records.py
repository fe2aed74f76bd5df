"""What is trained on: annotated single images and annotated clips.

Pictures stay encoded, in memory or in their files, so that tens of thousands of them fit and
worker processes share them; they are decoded when a sample is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.capture.images import decode_image, read_image
from edgepose_runtime.errors import DataError, SourceError

Image = NDArray[np.uint8]
Keypoints = NDArray[np.float32]
Picture = bytes | Path
"""An encoded picture, or the file that holds one."""


@dataclass(frozen=True, slots=True)
class PersonImage:
    """One annotated person in one picture.

    Attributes:
        name: where it came from, for messages.
        picture: the encoded picture or its file.
        keypoints: float32 (K, 3): x, y in pixels of the picture (pixel centres at integers) and a
            weight in [0, 1], 0 where the joint is unknown.
        box: annotated box, float32 (4,) as x1, y1, x2, y2 in pixels, or None.
        nobody: there is no person in the picture; the keypoints are those of `absent_keypoints`.
    """

    name: str
    picture: Picture
    keypoints: Keypoints
    box: NDArray[np.float32] | None = None
    nobody: bool = False

    def image(self) -> Image:
        """Decode the picture to uint8 (H, W, 3) BGR.

        Raises:
            DataError: it is missing, cut off, or no picture.
        """
        return decode_picture(self.picture, self.name)


@dataclass(frozen=True, slots=True)
class PersonClip:
    """Consecutive frames of one annotated person.

    Attributes:
        name: the clip.
        frames: T pictures.
        keypoints: float32 (T, K, 3), as in `PersonImage`.
        boxes: float32 (T, 4), as in `PersonImage`, or None.
    """

    name: str
    frames: tuple[Picture, ...]
    keypoints: Keypoints
    boxes: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> PersonImage:
        """One frame as a single image."""
        box = None if self.boxes is None else self.boxes[index]
        name = f"frame {index} of {self.name}"
        return PersonImage(name, self.frames[index], self.keypoints[index], box)


def decode_picture(picture: Picture, name: str) -> Image:
    """Decode a picture to uint8 (H, W, 3) BGR; `DataError` names a broken one."""
    try:
        if isinstance(picture, Path):
            return np.asarray(read_image(picture), np.uint8)
        return np.asarray(decode_image(picture, name), np.uint8)
    except SourceError as error:
        raise DataError(str(error)) from error


def encode_picture(image: Image, quality: int = 95) -> bytes:
    """Encode uint8 (H, W, 3) BGR as JPEG of a quality in [0, 100]."""
    good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise DataError(f"A picture of shape {image.shape} cannot be encoded as JPEG.")
    return data.tobytes()
