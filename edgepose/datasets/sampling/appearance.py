"""How a camera spoils a picture: light, colour, blur, noise, compression, few pixels, occlusion.

A look is drawn once and applied to every frame of a clip alike.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Effect = Callable[[Image], Image]


def draw_appearance(rng: np.random.Generator, strength: float) -> list[Effect]:
    """Draw the effects of one look; `strength` in [0, 1] scales how often and how much."""
    effects: list[Effect] = []
    if rng.random() < 0.8 * strength:
        effects.append(_tone(rng))
    if rng.random() < 0.3 * strength:
        effects.append(_low_resolution(rng.uniform(0.25, 0.7)))
    if rng.random() < 0.25 * strength:
        effects.append(_motion_blur(int(rng.integers(3, 12)), rng.uniform(0, np.pi)))
    if rng.random() < 0.15 * strength:
        effects.append(_noise(rng.uniform(2, 12), int(rng.integers(1 << 31))))
    if rng.random() < 0.3 * strength:
        effects.append(_compress(int(rng.integers(15, 60))))
    return effects


def apply(effects: list[Effect], image: Image) -> Image:
    """Apply a look to one picture."""
    for effect in effects:
        image = effect(image)
    return image


def occlude(image: Image, keypoints: NDArray[np.float32], rng: np.random.Generator) -> Image:
    """Paint a patch of one colour, or of the picture itself, near a random joint (in place)."""
    size = image.shape[0]
    width, height = (rng.uniform(0.08, 0.3, 2) * size).astype(int)
    x, y = keypoints[rng.integers(len(keypoints)), :2] + rng.normal(0, 0.05 * size, 2)
    left, top = (int(np.clip(v - s / 2, 0, size - s)) for v, s in ((x, width), (y, height)))
    if rng.random() < 0.5:
        image[top : top + height, left : left + width] = rng.integers(0, 256, 3)
    else:
        row, column = (int(rng.integers(0, size - s + 1)) for s in (height, width))
        image[top : top + height, left : left + width] = image[
            row : row + height, column : column + width
        ].copy()
    return image


def _tone(rng: np.random.Generator) -> Effect:
    """Gamma, contrast, brightness and a cast per channel, as one look-up table."""
    levels = np.arange(256) / 255.0
    gamma = np.exp(rng.normal(0, 0.35))
    table = np.stack([levels**gamma] * 3, axis=1) * np.exp(rng.normal(0, 0.12, 3))
    table = (table - 0.45) * np.exp(rng.normal(0, 0.2)) + 0.45 + rng.normal(0, 0.08)
    lut = (table.clip(0, 1) * 255).round().astype(np.uint8)[None]
    grey = rng.random() < 0.1

    def tone(image: Image) -> Image:
        if grey:
            image = cv2.cvtColor(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)  # type: ignore[assignment]
        return np.asarray(cv2.LUT(image, lut), np.uint8)

    return tone


def _low_resolution(factor: float) -> Effect:
    def shrink(image: Image) -> Image:
        small = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        size = (image.shape[1], image.shape[0])
        return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_LINEAR), np.uint8)

    return shrink


def _motion_blur(length: int, angle: float) -> Effect:
    kernel = np.zeros((length, length), np.float32)
    centre = (length - 1) / 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * centre
    ends = [tuple(round(float(v)) for v in centre + sign * reach) for sign in (-1, 1)]
    cv2.line(kernel, ends[0], ends[1], 1.0)
    kernel /= max(kernel.sum(), 1)
    return lambda image: np.asarray(cv2.filter2D(image, -1, kernel), np.uint8)


def _noise(deviation: float, seed: int) -> Effect:
    def noise(image: Image) -> Image:
        grain = np.random.default_rng(seed).standard_normal(image.shape, np.float32)
        return (image + deviation * grain).clip(0, 255).astype(np.uint8)

    return noise


def _compress(quality: int) -> Effect:
    def compress(image: Image) -> Image:
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)

    return compress
