"""What people look like: the colours of their clothes, to tell them apart after an occlusion."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepose.people.association import Boxes

#: A person's box in parts: from and to which part of the height each patch reaches. Upper body,
#: hips, legs; the head is mostly hair and the feet mostly floor.
PATCHES = ((0.18, 0.34), (0.34, 0.5), (0.5, 0.68), (0.68, 0.85))
#: The middle of the box in x: people are narrower than their boxes.
MIDDLE = (0.3, 0.7)
#: Differences in lightness count less than in colour: shadows change it.
_CHANNELS = np.array([0.5, 1.0, 1.0])
#: How much a new look changes what is remembered.
WEIGHT = 0.15
#: What counts as a full difference, in levels of CIELAB.
FULL_DIFFERENCE = 40.0

Description = NDArray[np.float64]


def describe(image: NDArray[np.uint8], box: Boxes) -> Description | None:
    """Return the mean colours (P, 3) of a person's clothes in CIELAB.

    Args:
        image: uint8 BGR (H, W, 3).
        box: (4,) x1, y1, x2, y2 in frame pixels.

    Returns:
        A colour for each of ``PATCHES``, NaN for one outside the frame; ``None`` if all are.
    """
    left, top, right, bottom = box[:4]
    width, height = right - left, bottom - top
    columns = _span(left + MIDDLE[0] * width, left + MIDDLE[1] * width, image.shape[1])
    rows = [_span(top + low * height, top + high * height, len(image)) for low, high in PATCHES]
    colours = np.full((len(PATCHES), 3), np.nan)
    for index, each in enumerate(rows):
        patch = image[each, columns]
        if patch.size:
            colours[index] = cv2.mean(patch)[:3]
    if np.isnan(colours).all():
        return None
    return _cielab(colours)


def difference(first: Description | None, second: Description | None) -> float:
    """Return how differently two people look, from 0 to 1; 0.5 where one is not known."""
    if first is None or second is None:
        return 0.5
    apart = np.sqrt((np.square(first - second) * _CHANNELS).sum(axis=1))
    known = np.isfinite(apart)
    if not known.any():
        return 0.5
    return float(min(apart[known].mean() / FULL_DIFFERENCE, 1.0))


def remembered(known: Description | None, seen: Description | None) -> Description | None:
    """Return the memory of a person after another look."""
    if known is None or seen is None:
        return seen if known is None else known
    blended = known + WEIGHT * (seen - known)
    return np.where(np.isnan(blended), np.where(np.isnan(known), seen, known), blended)


def _span(low: float, high: float, length: int) -> slice:
    first = min(max(round(low), 0), length)
    return slice(first, min(max(round(high), first), length))


def _cielab(colours: NDArray[np.float64]) -> Description:
    """Convert BGR colours (P, 3) from 0 to 255; L is from 0 to 100."""
    lab = cv2.cvtColor((colours[None] / 255).astype(np.float32), cv2.COLOR_BGR2LAB)
    return np.asarray(lab[0], np.float64)
