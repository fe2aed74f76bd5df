"""Whether the work goes on: what supervisors ask for."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from edgepose.preview.sources import SourceState, SourceTable
from edgepose.stats import TrackerStats
from edgepose_runtime.errors import ClosedError

#: A tracker that has frames to do, and ends none for so long, is stuck.
STUCK_AFTER_S = 15.0

StatsOf = Callable[[], Mapping[str, TrackerStats]]


class Health:
    """Answers whether trackers make progress, and whether there is something to see.

    Args:
        clock: seconds that only go forward.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._stats: StatsOf = dict
        self._done = -1
        self._waiting_since_s: float | None = None

    def watch(self, stats: StatsOf) -> None:
        """Ask for the statistics of trackers from now on."""
        self._stats = stats

    def stats(self) -> Mapping[str, TrackerStats]:
        """Return the statistics by source; none once the trackers are closed."""
        try:
            return self._stats()
        except ClosedError:
            return {}

    def is_alive(self) -> bool:
        """Whether frames that wait are being done.

        A camera that delivers nothing is no reason to start the program again: without frames
        there is nothing to be stuck in.
        """
        stats = self.stats()
        done = sum(each.frames - each.pending for each in stats.values())
        has_work = any(each.pending for each in stats.values())
        now_s = self._clock()
        if not has_work or done != self._done:
            self._done, self._waiting_since_s = done, now_s if has_work else None
            return True
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        return now_s - self._waiting_since_s < STUCK_AFTER_S

    def is_ready(self, sources: SourceTable) -> bool:
        """Whether at least one source delivers frames, and they are being done."""
        states = [each.state for each in sources.snapshots()]
        return self.is_alive() and SourceState.UP in states
