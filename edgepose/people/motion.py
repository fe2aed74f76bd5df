"""Where a person is and will be: the box of a pose, and how it moved."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.geometry.boxes import Boxes, enlarged_extent

#: Joints from this score on span a person's box.
LEAST_SCORE = 0.2
#: How much the box around joints is enlarged above, below and aside, in parts of its height: it is
#: to be the box that a detector would draw.
ABOVE, BELOW, ASIDE = 0.12, 0.10, 0.06
#: Time constant with which the speed follows what is seen, in ms: a stride is no walk.
SPEED_MS = 250.0
#: Time constant with which the size of the box follows, in ms.
SIZE_MS = 300.0
#: So much of the way from where the person should be to where a pose is counts: one pose that is
#: partly somebody else's does not lead astray.
TRUST = 0.6
#: For the first so many ms all of it counts: where the person should be is not known yet.
UNSURE_MS = 300.0
#: A box continues a person's if it is at most so many times as high, or the inverse, and as wide;
#: or as wide as this part of the height.
MOST_GROWTH, MOST_WIDENING, LEAST_WIDEST = 1.3, 1.8, 0.6
#: And if its middle is at most so far from where it should be, in heights of the box, and so much
#: further per second since the person was seen.
MOST_AWAY, AWAY_PER_S = 0.25, 0.5
#: Further ahead, in ms, a speed says nothing: the person stays where they would be then.
LONGEST_AHEAD_MS = 1000.0


class PersonMotion:
    """Predicts a person's box at constant speed. Not locked.

    Args:
        box: (4,) x1, y1, x2, y2 in frame pixels.
        timestamp_ms: when it was seen.
    """

    def __init__(self, box: NDArray[np.float64], timestamp_ms: float) -> None:
        self._centre, self._size = _centre_and_size(box)
        self._speed = np.zeros(2)
        self._seen_ms = timestamp_ms
        self._observed_ms = 0.0

    @property
    def seen_ms(self) -> float:
        """When the person was last seen."""
        return self._seen_ms

    @property
    def box(self) -> NDArray[np.float64]:
        """The box (4,) where the person was last seen."""
        return np.concatenate([self._centre - self._size / 2, self._centre + self._size / 2])

    @property
    def height(self) -> float:
        """Of the person's box, in pixels."""
        return float(self._size[1])

    @property
    def speed(self) -> float:
        """How fast the person moves, in heights of the box per second."""
        return 1e3 * math.hypot(*self._speed) / max(self.height, 1.0)

    def update(self, box: NDArray[np.float64], timestamp_ms: float) -> None:
        """Take in where the person was seen, later than before."""
        centre, size = _centre_and_size(box)
        elapsed = timestamp_ms - self._seen_ms
        if elapsed <= 0:
            return
        if self._observed_ms > UNSURE_MS:
            expected = self._centre + self.moved(timestamp_ms)
            centre = expected + TRUST * (centre - expected)
        self._observed_ms += elapsed
        # At first the mean over what was observed: one step says little about a walk.
        weight = elapsed / min(SPEED_MS + elapsed, max(self._observed_ms, elapsed))
        self._speed += min(weight, 1.0) * ((centre - self._centre) / elapsed - self._speed)
        self._size += (1 - math.exp(-elapsed / SIZE_MS)) * (size - self._size)
        self._centre, self._seen_ms = centre, timestamp_ms

    def moved(self, timestamp_ms: float) -> NDArray[np.float64]:
        """Return how far (2,) the person should have moved since last seen, in pixels."""
        ahead = min(max(timestamp_ms - self._seen_ms, 0.0), LONGEST_AHEAD_MS)
        moved: NDArray[np.float64] = self._speed * ahead
        return moved

    def predict(self, timestamp_ms: float) -> NDArray[np.float64]:
        """Return the box (4,) where the person should be at a time."""
        centre = self._centre + self.moved(timestamp_ms)
        return np.concatenate([centre - self._size / 2, centre + self._size / 2])

    def can_continue_to(self, box: NDArray[np.float64], timestamp_ms: float) -> bool:
        """Return whether a box (4,) continues the person's, by place and size."""
        if self._observed_ms <= UNSURE_MS:
            return True
        expected = self.predict(timestamp_ms)
        width, height = np.maximum(self._size, 1.0).tolist()
        new_width, new_height = (box[2:] - box[:2]).tolist()
        away = float(distances(expected[None], box[None])[0, 0])
        most_away = MOST_AWAY + AWAY_PER_S * (timestamp_ms - self._seen_ms) / 1e3
        return (
            away < most_away
            and 1 / MOST_GROWTH < new_height / height < MOST_GROWTH
            and new_width < max(MOST_WIDENING * width, LEAST_WIDEST * height)
        )

    def rescale(self, factor: float) -> None:
        """Take in that the frames have become larger by a factor."""
        self._centre, self._size = self._centre * factor, self._size * factor
        self._speed = self._speed * factor


def pose_box(keypoints: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Return the box (4,) that a detector would draw around a pose (K, 3); ``None`` for none."""
    joints = keypoints[keypoints[:, 2] > LEAST_SCORE, :2]
    return enlarged_extent(joints, ABOVE, BELOW, ASIDE)


def reach(elapsed_ms: float) -> float:
    """Return how far a lost person may be from the predicted place, in heights of the box."""
    return min(0.5 + 0.7 * elapsed_ms / 1e3, 3.0)


def distances(first: Boxes, second: Boxes) -> NDArray[np.float64]:
    """Return the distance (P, Q) of the boxes' centres, in heights of the first."""
    centres = [(boxes[:, :2] + boxes[:, 2:4]) / 2 for boxes in (first, second)]
    apart = np.hypot(*np.moveaxis(centres[0][:, None] - centres[1][None], -1, 0))
    heights = np.maximum(first[:, 3] - first[:, 1], 1.0)[:, None]
    result: NDArray[np.float64] = apart / heights
    return result


def _centre_and_size(
    box: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    return (box[:2] + box[2:4]) / 2, box[2:4] - box[:2]
