"""Several people: the sample clip three times beside itself, a third of a second apart."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

import edgepose
from benchmarks.figures.key_frames import CLIP

#: By how many frames the copies are apart, what they show of the clip, and the frame that is drawn.
_SHIFTS, _ROWS, _COLUMNS, _SHOWN = (0, 20, 40), slice(120, 660), slice(60, 440), 32
_HEIGHT = 420


def draw_people(path: Path) -> None:
    """Track the composed video, and write one frame with the poses and identities."""
    with edgepose.open_source(CLIP) as source:
        frames = [frame.image[_ROWS, _COLUMNS] for frame in source]
    with edgepose.PoseTracker("ppn-swift", num_threads=1, max_people="all") as tracker:
        for number in range(_SHOWN + 1):
            picture = np.ascontiguousarray(np.hstack([frames[number + s] for s in _SHIFTS]))
            result = tracker.track(picture, timestamp_ms=number * 1000 / 60)
    shown = edgepose.draw_result(picture, result)
    size = round(shown.shape[1] * _HEIGHT / shown.shape[0]), _HEIGHT
    small = cv2.resize(shown, size, interpolation=cv2.INTER_AREA)
    cv2.imwrite(str(path), small, [cv2.IMWRITE_JPEG_QUALITY, 80])
