"""How much a search for a person may cost."""

from __future__ import annotations

import math

from edgepose_runtime.checks import is_finite_number
from edgepose_runtime.errors import ConfigError

#: What a frame without a person costs on average, in steps for a person, if nothing else is said.
DEFAULT_BUDGET = 1.5
#: The part of it that goes on while nothing happens; the rest is saved up for when something does.
IDLE_SHARE = 2 / 3
#: Steps that can be saved up, and so the longest burst of looks; and those that are kept for when
#: something happens in the picture, such as the return of somebody who was searched for in vain.
MOST_SAVED, RESERVE = 45.0, 12.0
#: What a look at a region costs, in steps for a person: large regions are slower to crop.
LOOK_COST = 1.1


class SearchBudget:
    """The looks at regions that a search may take: earned by frames, saved up to a limit.

    It counts in steps for a person, and not in milliseconds: the same frames give the same poses.

    Args:
        per_frame: steps earned by each frame.

    Raises:
        ConfigError: that is no number above 0.
    """

    def __init__(self, per_frame: float) -> None:
        if not is_finite_number(per_frame) or per_frame <= 0:
            raise ConfigError(
                "search_budget must be a number above 0, the average cost of a frame without a "
                f"person in steps for a person; got {per_frame!r}."
            )
        self.per_frame = float(per_frame)
        self.reset()

    def reset(self) -> None:
        """Start with all that can be saved up."""
        self._saved = MOST_SAVED
        self._due = 0.0

    def earn(self, steps: float) -> None:
        """Save up steps."""
        self._saved = min(self._saved + steps, MOST_SAVED)

    def spend(self, looks: float) -> None:
        """Take looks off; more than there are is a debt, paid by frames without a search."""
        self._saved -= looks * LOOK_COST

    def looks(self, reserve: float = 0.0) -> int:
        """Return how many looks can be paid if so many steps are to be left."""
        return max(0, math.floor((self._saved - reserve) / LOOK_COST))

    def idle_looks(self) -> int:
        """Return how many looks a frame gets in which nothing happens, often 0 or 1."""
        self._due += IDLE_SHARE * self.per_frame
        looks = math.floor(self._due)
        self._due -= looks
        return looks
