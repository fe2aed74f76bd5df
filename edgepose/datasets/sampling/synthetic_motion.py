"""Made-up motion: a still picture that drifts, turns and grows, as the frames of a clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Deviations per frame: the person's shift in parts of the crop's side, radians, and logarithm of
# the size. Most windows of real clips move less, lively ones a little more.
_SPEED = np.array([0.025, 0.025, 0.035, 0.015])
# How much the speed changes from one frame to the next.
_UNSTEADY = 0.4


def draw_motion(
    rng: np.random.Generator, length: int, center: NDArray[np.floating], side: float
) -> NDArray[np.float64]:
    """Draw where a still picture goes.

    Args:
        rng: the source of chance.
        length: T, how many frames.
        center: (x, y) that the picture turns around, in its pixels.
        side: of the person's crop in pixels.

    Returns:
        (T, 2, 3) affine maps from the picture's pixels to those of frame t; the first changes
        nothing.
    """
    speed = rng.normal(0, _SPEED) * rng.uniform(0, 1.5)
    steps = speed + rng.normal(0, _UNSTEADY, (length - 1, 4)) * np.abs(speed)
    path = np.concatenate([np.zeros((1, 4)), np.cumsum(steps, axis=0)])
    zoom, angle = np.exp(path[:, 3]), path[:, 2]
    cosine, sine = zoom * np.cos(angle), zoom * np.sin(angle)
    linear = np.stack([cosine, -sine, sine, cosine], axis=-1).reshape(length, 2, 2)
    offset = center + side * path[:, :2] - linear @ np.asarray(center, np.float64)
    return np.concatenate([linear, offset[..., None]], axis=-1)


def moved(keypoints: NDArray[np.float32], motion: NDArray[np.float64]) -> NDArray[np.float32]:
    """Keypoints (K, 3) of the still picture in the frame that `motion` (2, 3) maps to."""
    out = keypoints.copy()
    out[:, :2] = keypoints[:, :2] @ motion[:, :2].T + motion[:, 2]
    return out


def chained(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2, 3) affine map that applies `first` and then `second`."""
    linear = second[:, :2] @ first
    linear[:, 2] += second[:, 2]
    return linear
