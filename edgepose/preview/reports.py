"""The state of all sources, as the page gets it twice a second."""

from __future__ import annotations

import operator
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from edgepose.preview.sources import SourceSnapshot, SourceTable

#: Seconds between two reports, and for how many of them a new page gets the times.
TICK_S, TICKS_KEPT = 0.5, 120
_DONE = ("pose", "no_person")


class Reporter:
    """Makes reports out of what changed since the last one. For one thread.

    Args:
        sources: what is reported on.
        clock: seconds that only go forward.
    """

    def __init__(self, sources: SourceTable, clock: Callable[[], float] = time.monotonic) -> None:
        self._sources = sources
        self._clock = clock
        self._before: dict[str, SourceSnapshot] = {}
        self._before_s = clock()
        self._ticks: deque[dict[str, dict[str, float]]] = deque(maxlen=TICKS_KEPT)

    def tick(self) -> dict[str, Any]:
        """Return the state of all sources, and what their frames took since the last call."""
        now_s = self._clock()
        elapsed_s = max(now_s - self._before_s, 1e-6)
        snapshots = {each.name: each for each in self._sources.snapshots()}
        report = [self._describe(each, elapsed_s) for each in snapshots.values()]
        self._before, self._before_s = snapshots, now_s
        self._ticks.append({each["name"]: each["stages"] for each in report})
        return {"sources": report}

    def history(self) -> dict[str, Any]:
        """Return the times of the last minute, and the latest events of all sources."""
        events = [event for monitor in self._sources.all() for event in list(monitor.events)]
        events.sort(key=operator.itemgetter("time"))
        return {"ticks": list(self._ticks), "events": events}

    def _describe(self, now: SourceSnapshot, elapsed_s: float) -> dict[str, Any]:
        before = self._before.get(now.name)
        outcomes = now.outcomes
        done = sum(outcomes.get(kind, 0) for kind in _DONE)
        done_before = sum(before.outcomes.get(kind, 0) for kind in _DONE) if before else 0
        ended_otherwise = {kind: n for kind, n in outcomes.items() if kind not in _DONE}
        return {
            "name": now.name,
            "state": now.state.value,
            "people": list(now.identities),
            "frames": sum(outcomes.values()),
            "poses": outcomes.get("pose", 0),
            "fps": round((done - done_before) / elapsed_s, 1),
            "dropped": ended_otherwise,
            "stages": stage_means(now, before),
        }


def stage_means(now: SourceSnapshot, before: SourceSnapshot | None) -> dict[str, float]:
    """Return what each stage took on average between two snapshots, in ms for each frame.

    A stage that not every frame has, such as the head, so shows what it costs overall: the stages
    add up to the total.
    """

    def grown(stage: str) -> tuple[int, float]:
        held, old = now.stages[stage], before.stages.get(stage) if before else None
        count, total_s = (old.counts[-1], old.total_s) if old else (0, 0.0)
        return held.counts[-1] - count, held.total_s - total_s

    frames = max((grown(stage)[0] for stage in now.stages), default=0)
    if not frames:
        return {}
    return {stage: round(1000 * grown(stage)[1] / frames, 3) for stage in now.stages}
