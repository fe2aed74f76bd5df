"""Whether the next frame should be a key frame."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from edgepose.keyframes.settings import KeyFrames

Floats = NDArray[np.floating]

#: Propagated joints drift by so much per frame, in sides of the region, and by this part of the
#: distance that the fastest of them move. Fitted to annotated clips: 3,434 poses propagated over
#: 1 to 12 frames.
DRIFT_PER_FRAME = 0.0026
DRIFT_PER_WAY = 0.155
#: How many joints are the fastest: about two limbs.
_FASTEST = 4
#: When a pose is further than this from what was expected, in sides of the region, ...
CONTRADICTION = 0.08
#: ... so many frames after it are key frames as well.
ALARM_FRAMES = 2
#: Key frames that may follow each other at once, if there were none for long.
BURST = 4.0
#: Without a tolerance, the logarithm of the weight of movement grows in each frame by this times
#: the budget, and falls by this in a key frame; it stays between the negative and this maximum.
PACE, MOST_CHANGED = 0.05, math.log(2)
#: A joint that comes back this far off, in sides of the view, was not followed at all; ...
_ASTRAY = 0.03
#: ... and if that is so for this part of them, the picture has changed: a cut, or darkness.
_MOST = 0.5


class KeyFrameDecision:
    """Decides from the movement of the joints, within a budget. Causal: it knows the past alone.

    Asking changes nothing; :meth:`skipped` and :meth:`observed` say what was done. Not locked.

    Without a tolerance the budget is used up: as long as there are fewer key frames than it allows,
    movement counts for more, at most twice, and else for less. How long a person who stands still
    is left alone does not change.

    Args:
        settings: the budget, and how large an error may get.
    """

    def __init__(self, settings: KeyFrames) -> None:
        self._budget, self._tolerance = settings.budget, settings.largest_error
        self._adapts = settings.tolerance is None
        self._credit = BURST
        self._change = 0.0  # logarithm of what movement counts
        self.reset()

    @property
    def gain(self) -> float:
        """What movement counts for, 0.5 to 2; 1 with a fixed tolerance."""
        return math.exp(self._change)

    @property
    def expected_error(self) -> float:
        """Expected mean error of the propagated joints, in sides of the region."""
        return self._error

    def reset(self) -> None:
        """Forget the person; the budget stays spent."""
        self._error = 0.0
        self._alarm = 0

    def is_key_frame(self, moved: Floats, doubt: Floats, error: float | None = None) -> bool:
        """Whether a frame should be a key frame.

        Args:
            moved: (K,) how far the joints went since the last frame, in sides of the region; NaN
                for those that are not known.
            doubt: (K,) how far off each is when followed back.
            error: expected mean error of the joints in this frame, in sides of the region;
                ``None`` for what they drifted since the last key frame.
        """
        cut = has_changed(doubt)
        # After a cut there is nothing to propagate: that is worth frames of the time to come.
        least = 1 - BURST if cut else 1.0
        if self._credit + self._budget < least:
            return False
        if error is None:
            error = self._error + self._drift(moved)
        else:
            error *= self.gain
        return cut or self._alarm > 0 or error > self._tolerance

    def skipped(self, moved: Floats) -> None:
        """Take in that no network processed a frame."""
        self._error += self._drift(moved)
        self._earn()
        self._adapt(is_key=False)

    def observed(self, moved: Floats | None = None, surprise: float = 0.0) -> None:
        """Take in that the networks processed a frame.

        Args:
            moved: as in :meth:`is_key_frame`; ``None`` if the joints were not propagated into it.
            surprise: mean distance of the joints from where they were expected, in sides of the
                region.
        """
        expected = self._error + (0.0 if moved is None else self._drift(moved))
        self._alarm = max(0, self._alarm - 1)
        if surprise > expected + CONTRADICTION:
            self._alarm = ALARM_FRAMES
        self._error = 0.0
        self._earn()
        if moved is not None:
            self._adapt(is_key=True)
        # Frames that had to be processed, as after a loss, are saved later on.
        self._credit = max(self._credit - 1, -BURST)

    def _drift(self, moved: Floats) -> float:
        return DRIFT_PER_FRAME + self.gain * (drift(moved) - DRIFT_PER_FRAME)

    def _earn(self) -> None:
        self._credit = min(self._credit + self._budget, BURST)

    def _adapt(self, is_key: bool) -> None:
        if self._adapts:
            change = self._change + PACE * (self._budget - is_key)
            self._change = min(max(change, -MOST_CHANGED), MOST_CHANGED)


def drift(moved: Floats) -> float:
    """Return by how much propagated joints get worse in one frame, in sides of the region.

    Args:
        moved: (K,) how far each went; NaN for those that are not known.
    """
    # In plain Python: for so few numbers NumPy takes thrice as long.
    fastest = sorted(_known(moved))[-_FASTEST:]
    if not fastest:
        return DRIFT_PER_FRAME
    return DRIFT_PER_FRAME + DRIFT_PER_WAY * sum(fastest) / len(fastest)


def has_changed(doubt: Floats) -> bool:
    """Return whether flow lost the joints: a cut, or a dark, blurred or covered frame.

    Args:
        doubt: (K,) how far off each is when followed back, in sides of the region; NaN for those
            that are not known.
    """
    known = _known(doubt)
    return sum(each > _ASTRAY for each in known) >= _MOST * len(known)


def _known(values: Floats) -> list[float]:
    return [each for each in values.tolist() if math.isfinite(each)]
