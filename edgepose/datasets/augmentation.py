"""Random crops of annotated people: one geometric transform per clip, one look per clip.

SPEC §1.3 (crop conventions) and §1.4 (augmentation): the crop is the square of 1.25 times the
person's box; scale multiplies its side.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.skeletons import Skeleton

Image = NDArray[np.uint8]
FILL_BGR = (104, 116, 124)  # the ImageNet mean, as the runtime pads


@dataclass(frozen=True)
class Augmentation:
    """How wild the random crops are; probabilities in [0, 1].

    Attributes:
        scale: range of the factor on the crop's side.
        wide_probability, wide_scale: now and then a far wider crop, as when a tracker looks for
            a person in the whole frame.
        rotation_degrees: uniform in ± this.
        shift: standard deviation of the crop's centre, as a share of its side.
        flip_probability: mirror image with left and right exchanged.
        half_body_probability: crop around the upper or the lower body only.
        background_probability: a crop with nobody in it, all targets empty.
        photometric: strength in [0, 1] of colour, light, blur, compression and resolution loss.
        occlusion_probability: paint a patch over a part of the body.
    """

    scale: tuple[float, float] = (0.8, 1.4)
    wide_probability: float = 0.0
    wide_scale: tuple[float, float] = (1.4, 2.6)
    rotation_degrees: float = 40.0
    shift: float = 0.0
    flip_probability: float = 0.5
    half_body_probability: float = 0.0
    background_probability: float = 0.0
    photometric: float = 0.0
    occlusion_probability: float = 0.0

    @classmethod
    def none(cls) -> Augmentation:
        """The plain evaluation crop."""
        return cls(scale=(1.0, 1.0), rotation_degrees=0.0, flip_probability=0.0)


@dataclass(frozen=True)
class Placement:
    """One drawn geometric transform, shared by the frames of a clip."""

    scale: float
    angle: float
    shift: tuple[float, float]
    flip: bool


def draw_placement(rng: np.random.Generator, settings: Augmentation) -> Placement:
    """Draw scale (log-uniform), rotation, shift and mirroring."""
    low, high = settings.scale
    if rng.random() < settings.wide_probability:
        low, high = settings.wide_scale
    scale = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    angle = float(rng.uniform(-settings.rotation_degrees, settings.rotation_degrees))
    shift = rng.normal(0, settings.shift, 2) if settings.shift else np.zeros(2)
    flip = bool(rng.random() < settings.flip_probability)
    return Placement(scale, angle, (float(shift[0]), float(shift[1])), flip)


def crop_matrix(
    center: NDArray[np.floating], side: float, placement: Placement, size: int
) -> NDArray[np.float64]:
    """The (2, 3) affine that maps picture pixels to pixels of a size × size crop."""
    side = side * placement.scale
    center = np.asarray(center, np.float64) + np.multiply(placement.shift, side)
    zoom, angle = size / side, np.deg2rad(placement.angle)
    mirror = -1.0 if placement.flip else 1.0
    linear = zoom * np.array(
        [
            [mirror * np.cos(angle), -mirror * np.sin(angle)],
            [np.sin(angle), np.cos(angle)],
        ]
    )
    offset = (size - 1) / 2 - linear @ center
    return np.concatenate([linear, offset[:, None]], axis=1)


def warp_image(image: Image, matrix: NDArray[np.float64], size: int) -> Image:
    """The size × size crop, uint8 BGR; what lies outside the picture gets the mean colour."""
    shrink = np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    if shrink < 0.6:  # avoid aliasing: halve first
        image = cv2.resize(image, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        # pixel centres: x_half = (x + 0.5) / 2 - 0.5, so x = 2 x_half + 0.5
        matrix = np.concatenate(
            [matrix[:, :2] * 2, matrix[:, 2:] + matrix[:, :2].sum(1, keepdims=True) * 0.5], axis=1
        )
        return warp_image(image, matrix, size)
    warped = cv2.warpAffine(
        image, matrix, (size, size), flags=cv2.INTER_LINEAR, borderValue=FILL_BGR
    )
    return np.asarray(warped, np.uint8)


def warp_keypoints(
    keypoints: NDArray[np.float32], matrix: NDArray[np.float64], skeleton: Skeleton, flip: bool
) -> NDArray[np.float32]:
    """Map (K, 3) keypoints into the crop and exchange left and right when mirrored."""
    out = keypoints.copy()
    out[:, :2] = keypoints[:, :2] @ matrix[:, :2].T + matrix[:, 2]
    return out[list(skeleton.flip_order)] if flip else out


def box_of(keypoints: NDArray[np.float32], margin: float = 0.1) -> NDArray[np.float64] | None:
    """The person's box (x1, y1, x2, y2): the weighted joints' extent, enlarged; None if unknown."""
    known = keypoints[keypoints[:, 2] > 0, :2]
    if len(known) < 2:
        return None
    low, high = known.min(0), known.max(0)
    grow = margin * float((high - low).max())
    return np.concatenate([low - grow, high + grow]).astype(np.float64)


def square_of(box: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Centre and side of the crop around a box: 1.25 times its longer side (SPEC §1.3)."""
    return (box[:2] + box[2:]) / 2, 1.25 * max(float((box[2:] - box[:2]).max()), 8.0)


def half_body(
    keypoints: NDArray[np.float32], skeleton: Skeleton, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Keypoints with only the upper or the lower body weighted, to centre a crop on it."""
    names = (
        ("hip", "knee", "ankle")
        if rng.random() < 0.25
        else ("head", "shoulder", "elbow", "wrist", "hip")
    )
    chosen = [any(name in joint for name in names) for joint in skeleton.joints]
    out = keypoints.copy()
    out[~np.array(chosen), 2] = 0
    return out if (out[:, 2] > 0).sum() >= 4 else keypoints
