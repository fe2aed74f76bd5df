"""What the networks of a bundle compute for a reference picture, to be compared on each device."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import BundleFormatError
from edgepose_runtime.geometry.crop import Image

_PICTURE = Path(__file__).with_name("reference.png")
#: By how much heat-maps may differ from the reference at its joints, on average. Between devices
#: and precisions it is a hundredth; a network that computes nonsense shows nobody.
TOLERANCE = 0.15
_SURE = 0.3


@dataclass(frozen=True, slots=True)
class Peak:
    """A cell of a heat-map, and its value: the largest of the map."""

    row: int
    column: int
    value: float


@dataclass(frozen=True, slots=True)
class SelfCheck:
    """Peaks of the heat-maps for the reference picture, one for each joint.

    Attributes:
        initialised: what the head estimates.
        advanced: what the light network makes of the same picture after it.
    """

    initialised: tuple[Peak, ...]
    advanced: tuple[Peak, ...]


def reference_crop(shape: tuple[int, int, int]) -> Image:
    """Return the reference picture in the size that a network takes, without interpolation.

    Args:
        shape: (height, width, 3).

    Raises:
        BundleFormatError: the picture is missing from this installation, or damaged.
    """
    picture = _picture()
    rows = np.arange(shape[0]) * len(picture) // shape[0]
    columns = np.arange(shape[1]) * picture.shape[1] // shape[1]
    crop: Image = picture[rows[:, None], columns]
    return crop


def find_peaks(heatmaps: NDArray[np.float32]) -> tuple[Peak, ...]:
    """Return the peak of each map of (K, h, w)."""
    width = heatmaps.shape[2]
    cells = [int(each.argmax()) for each in heatmaps]
    return tuple(
        Peak(cell // width, cell % width, round(float(each.ravel()[cell]), 4))
        for each, cell in zip(heatmaps, cells, strict=True)
    )


def difference(heatmaps: NDArray[np.float32], peaks: tuple[Peak, ...]) -> float:
    """Return by how much maps (K, h, w) differ at the peaks of a reference, on average.

    Joints of which the reference is not sure do not count; 0 where it is sure of none. Infinite
    where a value is no finite number.
    """
    sure = [(joint, peak) for joint, peak in enumerate(peaks) if peak.value >= _SURE]
    if not sure:
        return 0.0
    found = [float(heatmaps[joint, peak.row, peak.column]) - peak.value for joint, peak in sure]
    mean = float(np.abs(found).mean())
    return mean if np.isfinite(mean) else float("inf")


@cache
def _picture() -> Image:
    picture = cv2.imread(str(_PICTURE))
    if picture is None:
        raise BundleFormatError(f"The picture {_PICTURE} is missing; install edgepose again.")
    return picture.astype(np.uint8, copy=False)
