"""When to send a request to a remote head."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edgepose.remote.settings import RemoteHead


@dataclass(slots=True)
class RequestPolicy:
    """Decides for each frame of a track whether a request is sent. Not locked.

    Attributes:
        settings: gaps and thresholds.
        every: send one every N frames; ``None`` for only when there is a need.
        score_threshold: from this score on a joint is trusted.
    """

    settings: RemoteHead
    every: int | None
    score_threshold: float
    _last: int | None = None

    def forget_track(self) -> None:
        """The next frame begins a track."""
        self._last = None

    def is_due(self, number: int, keypoints: NDArray[np.float32], *, probe: bool) -> bool:
        """Return whether to send a request for a frame, and take note of it.

        Args:
            number: of the frame.
            keypoints: (K, 3), what the track has.
            probe: a request would show whether the server is back.
        """
        due = probe or self._last is None or self._has_need(number - self._last, keypoints)
        if due:
            self._last = number
        return due

    def _has_need(self, gap: int, keypoints: NDArray[np.float32]) -> bool:
        if self.every is not None and gap >= self.every:
            return True
        trusted = float((keypoints[:, 2] >= self.score_threshold).mean())
        return gap >= self.settings.shortest_gap and trusted < self.settings.least_trusted
