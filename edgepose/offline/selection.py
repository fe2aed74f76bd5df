"""Selection of the key frames of a window."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import ConfigError

Doubles = NDArray[np.float64]
Features = NDArray[np.floating]

#: Chooses the key frames of a window, given the features (n, M) of its frames, and how many to
#: choose or ``None`` for as many as are worth it; returns their numbers, at least one, rising.
Selector = Callable[[Features, int | None], list[int]]

#: The part that change has in the distance between frames; the rest is time.
CHANGE_SHARE = 0.4
#: Where their number is free, key frames are so many frames apart in a picture that changes as
#: fast as in the middle of our training clips, and never twice as far.
USUAL_GAP = 4.0
#: That change from one frame to the next, in grey levels (root mean square of the features).
USUAL_CHANGE = 4.0


class ChangeSelector:
    """Selects key frames at even steps of time and change: closer together where more happens.

    Each key frame stands in the middle of its step, so that windows follow each other evenly. On
    annotated clips this recovers poses better than frames at even times, and better than what
    minimises the objective of K-FPN: where the picture changes, people move.

    Args:
        share: the part of the distance between frames that change has, from 0 to 1.

    Raises:
        ConfigError: the share is out of its range.
    """

    def __init__(self, share: float = CHANGE_SHARE) -> None:
        if not 0 <= share <= 1:
            raise ConfigError(f"The share of change must be from 0 to 1; got {share!r}.")
        self._share = share

    def __call__(self, features: Features, count: int | None = None) -> list[int]:
        """Return the key frames of a window; see :data:`Selector`.

        Raises:
            ConfigError: there is no frame, or a count below 1.
        """
        require_frames(len(features), count)
        change = _changes(features)
        if count is None:
            pace = 1 - self._share + self._share * np.minimum(change / USUAL_CHANGE, 2.0)
            count = max(1, round(float(pace.sum()) / USUAL_GAP))
        if count >= len(features):
            return list(range(len(features)))
        return frames_at_even_steps(self._steps(change), count)

    def _steps(self, change: Doubles) -> Doubles:
        """Return the part of the way through the window that each frame is."""
        time = np.full(len(change), 1 / len(change))
        total = change.sum()
        moved = change / total if total > 0 else time
        steps: Doubles = (1 - self._share) * time + self._share * moved
        return steps


def require_frames(frames: int, count: int | None) -> None:
    """Refuse to choose so many of so few.

    Raises:
        ConfigError: there is no frame, or a count below 1.
    """
    if not frames or (count is not None and count < 1):
        wanted = "some" if count is None else count
        raise ConfigError(f"A selector cannot choose {wanted} of {frames} frames.")


def uniform_selection(frames: int, count: int) -> list[int]:
    """Return so many frames at even distances, the first and the last among them."""
    if count == 1:
        return [frames // 2]
    return sorted({round(index * (frames - 1) / (count - 1)) for index in range(count)})


def _changes(features: Features) -> Doubles:
    """Return how much each frame (n,) differs from the one before it; the first as the second."""
    if len(features) == 1:
        return np.zeros(1)
    flat = np.asarray(features, np.float64).reshape(len(features), -1)
    change = np.sqrt(np.square(np.diff(flat, axis=0)).mean(axis=1))
    return np.concatenate([change[:1], change])


def frames_at_even_steps(steps: Doubles, count: int) -> list[int]:
    """Return the frames in the middle of even steps of a way; exactly so many, all different.

    Args:
        steps: (n,) how much of the way each frame is, 0 or more; where there is no way at all,
            frames are at even times.
        count: from 1 to n.
    """
    if not steps.any():
        steps = np.ones_like(steps)
    way = np.cumsum(steps) / steps.sum()
    wanted = (np.arange(count) + 0.5) / count
    nearest = np.abs((way - way[0] / 2)[:, None] - wanted).argmin(axis=0)
    for index in range(1, count):
        nearest[index] = max(nearest[index], nearest[index - 1] + 1)
    limit = len(way)
    for index in range(count - 1, -1, -1):
        nearest[index] = limit = min(int(nearest[index]), limit - 1)
    return [int(frame) for frame in nearest]


def frames_by_rates(rates: Features, count: int | None = None) -> list[int]:
    """Return the key frames of a window from a rate (n,), 0 or more, of its frames.

    Args:
        rates: how close together key frames should be where each frame is.
        count: how many, all frames at most; ``None`` for one out of `USUAL_GAP`.
    """
    wanted = count or max(1, round(len(rates) / USUAL_GAP))
    return frames_at_even_steps(np.asarray(rates, np.float64), min(wanted, len(rates)))
