"""Extrapolation of joints at constant speed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Keypoints = NDArray[np.float32]

#: Further ahead, in ms, a movement says nothing: the pose stays where it would be then.
LONGEST_AHEAD_MS = 200.0
#: Two frames that arrived closer together, in ms, as in a burst after a stall of the network, were
#: not taken so: what they differ by would be taken for a wild movement.
SHORTEST_STEP_MS = 4.0


class MotionPredictor:
    """Extrapolates joints at their last speed. Not locked."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget the person."""
        self._last: Keypoints | None = None
        self._before: Keypoints | None = None
        self._last_ms = self._before_ms = 0.0

    def update(self, keypoints: Keypoints, timestamp_ms: float) -> None:
        """Take in joints (K, 3) of x, y, score that were seen, after those before."""
        self._before, self._before_ms = self._last, self._last_ms
        # The caller of the tracker may change the result: it is theirs.
        self._last, self._last_ms = keypoints.copy(), timestamp_ms

    def predict(self, timestamp_ms: float) -> Keypoints | None:
        """Return the joints (K, 3) at a time, with their last scores; ``None`` without any."""
        if self._last is None:
            return None
        keypoints = self._last.copy()
        if self._before is not None:
            moved = keypoints[:, :2].astype(np.float64) - self._before[:, :2]
            # A joint that was not seen before has no speed yet.
            step_ms = max(self._last_ms - self._before_ms, SHORTEST_STEP_MS)
            speed = np.nan_to_num(moved / step_ms)
            ahead = min(timestamp_ms - self._last_ms, LONGEST_AHEAD_MS)
            keypoints[:, :2] += speed * ahead
        return keypoints
