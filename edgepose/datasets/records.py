"""What every reader yields: annotated single images and annotated clips.

Images stay JPEG-encoded in memory, so that tens of thousands of them fit and worker processes
share them; they are decoded when a sample is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import DataError


@dataclass(frozen=True, slots=True)
class PersonImage:
    """One annotated person in one picture.

    Attributes:
        name: where it came from, for messages.
        jpeg: the encoded picture.
        keypoints: float32 (K, 3): x, y in pixels of the picture (pixel centres at integers) and a
            weight in [0, 1], 0 where the joint is unknown.
    """

    name: str
    jpeg: bytes
    keypoints: NDArray[np.float32]

    def image(self) -> NDArray[np.uint8]:
        """The picture, uint8 (H, W, 3) BGR.

        Raises:
            DataError: the bytes are not an image.
        """
        return decode_image(self.jpeg, self.name)


@dataclass(frozen=True, slots=True)
class PersonClip:
    """Consecutive frames of one annotated person.

    Attributes:
        name: the clip.
        frames: T encoded pictures.
        keypoints: float32 (T, K, 3), as in `PersonImage`.
    """

    name: str
    frames: tuple[bytes, ...]
    keypoints: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.frames)

    def frame(self, index: int) -> PersonImage:
        """One frame as a single image."""
        return PersonImage(f"{self.name}#{index}", self.frames[index], self.keypoints[index])


def decode_image(data: bytes, name: str) -> NDArray[np.uint8]:
    """Decode an encoded picture to uint8 (H, W, 3) BGR; `DataError` names a broken one."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise DataError(
            f"The picture {name} cannot be decoded ({len(data)} bytes). Remove or replace it."
        )
    return np.asarray(image, np.uint8)


def encode_image(image: NDArray[np.uint8], quality: int = 95) -> bytes:
    """Encode uint8 (H, W, 3) BGR as JPEG."""
    good, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not good:
        raise DataError(f"A picture of shape {image.shape} cannot be encoded as JPEG.")
    return data.tobytes()
