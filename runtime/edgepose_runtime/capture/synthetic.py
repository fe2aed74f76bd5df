"""A puppet that walks: frames for tests and demonstrations, without any file."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.capture.base import FrameSource
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13
from edgepose_runtime.tensors import Array

# Joints of penn13 as parts of the height, from the middle of the body.
_STANDING = np.array(
    [
        (0.0, -0.43), (-0.11, -0.3), (0.11, -0.3), (-0.15, -0.14), (0.15, -0.14), (-0.16, 0.02),
        (0.16, 0.02), (-0.07, 0.02), (0.07, 0.02), (-0.08, 0.24), (0.08, 0.24), (-0.08, 0.47),
        (0.08, 0.47),
    ]
)  # fmt: skip
# How far a joint swings sideways at each step: arms against legs, right against left.
_SWING = np.array([0, 0, 0, 0.05, -0.05, 0.12, -0.12, 0, 0, -0.06, 0.06, -0.14, 0.14])
_STEPS_PER_S, _WALKS_PER_S = 1.0, 0.1
_BACKGROUND, _CLOTHES, _SKIN = (116, 122, 110), (96, 60, 40), (120, 150, 205)


class SyntheticSource(FrameSource):
    """A puppet that walks back and forth; the same frames each time.

    Args:
        num_frames: how many frames there are, ``None`` for no end.
        size: (width, height) in pixels, 16 or more each.
        fps: frames per second, which only gives the frames their times: they come at once.

    Raises:
        ConfigError: ``num_frames`` is below 1, or a side below 16.
    """

    def __init__(
        self,
        num_frames: int | None = 300,
        *,
        size: tuple[int, int] = (640, 480),
        fps: float = 30.0,
    ) -> None:
        if num_frames is not None and num_frames < 1:
            raise ConfigError(f"num_frames must be 1 or more, or None; got {num_frames}.")
        if min(size) < 16:
            raise ConfigError(f"A frame needs 16 pixels or more on each side; got {size}.")
        super().__init__("synthetic puppet", fps=fps, num_frames=num_frames)
        self._size = size

    def joints(self, frame_id: int) -> NDArray[np.float32]:
        """Return where the joints of penn13 are in a frame: float32 (13, 2), x and y in pixels."""
        width, height = self._size
        seconds = frame_id * self.interval_ms / 1000
        stature = 0.7 * min(width, height)
        swing = _SWING * np.sin(2 * np.pi * _STEPS_PER_S * seconds)
        middle = width * (0.5 + 0.25 * np.sin(2 * np.pi * _WALKS_PER_S * seconds)), height / 2
        points = _STANDING + np.column_stack([swing, np.zeros_like(swing)])
        joints: NDArray[np.float32] = (points * stature + middle).astype(np.float32)
        return joints

    def draw(self, frame_id: int) -> Array:
        """Return a frame, uint8 BGR (H, W, 3)."""
        width, height = self._size
        image = np.full((height, width, 3), _BACKGROUND, np.uint8)
        points = np.rint(self.joints(frame_id)).astype(int)
        thick = max(1, round(0.05 * height))
        for start, end in PENN13.limbs:
            _line(image, points[start], points[end], _SKIN, thick)
        shoulders, hips = points[1:3], points[7:9]
        cv2.fillConvexPoly(image, np.vstack([shoulders, hips[::-1]]).astype(np.int32), _CLOTHES)
        cv2.circle(image, points[0].tolist(), round(0.05 * height), _SKIN, cv2.FILLED, cv2.LINE_AA)
        return image

    def _frames(self) -> Iterator[tuple[Array, float | None]]:
        index = 0
        while self.num_frames is None or index < self.num_frames:
            yield self.draw(index), index * self.interval_ms
            index += 1


def _line(
    image: Array, start: Array, end: Array, color: tuple[int, int, int], thickness: int
) -> None:
    cv2.line(image, start.tolist(), end.tolist(), color, thickness, cv2.LINE_AA)
