"""A deadline for each frame, kept by choosing a cheaper step."""

from __future__ import annotations

from enum import IntEnum

from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.errors import ConfigError

#: After this many skipped frames in a row, the networks process one, late or not.
MOST_PREDICTED = 4
#: The weight of the latest frame in what a step is expected to take.
_WEIGHT = 0.3
#: What remains of an expectation each time it keeps a step from being taken, so that one slow
#: frame is not held against it for ever.
_FADING = 0.9


class Effort(IntEnum):
    """How much work a frame is worth."""

    SKIP = 0
    """No network: the pose is extrapolated."""
    LIGHT = 1
    """The light network alone, also where the head would be due."""
    FULL = 2
    """Whatever is due."""
    HEAD = 3
    """The head, also where it would not be due."""


class Deadline:
    """Chooses the best step that is expected to be done in time. Not locked.

    Args:
        deadline_ms: from the moment a frame is handed over to its result.

    Raises:
        ConfigError: that is no time above 0.
    """

    def __init__(self, deadline_ms: float) -> None:
        if not is_finite_number(deadline_ms) or deadline_ms <= 0:
            raise ConfigError(
                f"deadline_ms must be a time in milliseconds above 0, or None; got {deadline_ms!r}."
            )
        self.deadline_ms = float(deadline_ms)
        self._expected = {Effort.SKIP: 0.0, Effort.LIGHT: 0.0, Effort.FULL: 0.0}
        self._predicted = 0

    def choose(self, waited_ms: float, *, tracking: bool, head_due: bool) -> Effort:
        """Return what a frame is worth.

        Args:
            waited_ms: how long it has waited already.
            tracking: there is a pose to go on from.
            head_due: the head would run on this frame.
        """
        left = self.deadline_ms - waited_ms
        wanted = [Effort.LIGHT] if tracking else [Effort.FULL]
        if tracking and head_due:
            wanted.insert(0, Effort.FULL)
        for effort in wanted:
            if self._expected[effort] <= left:
                return effort
            self._expected[effort] *= _FADING
        return wanted[-1] if self._predicted >= MOST_PREDICTED else Effort.SKIP

    def observe(self, effort: Effort, took_ms: float) -> None:
        """Take in what a step took.

        Args:
            effort: what was done: FULL if the head ran or the frame was searched.
            took_ms: without the waiting.
        """
        self._predicted = self._predicted + 1 if effort is Effort.SKIP else 0
        last = self._expected[effort]
        self._expected[effort] = took_ms if not last else last + _WEIGHT * (took_ms - last)
