"""What waits for a stream's callbacks, in order and never without bound."""

from __future__ import annotations

from collections import deque

from edgepose.notices import Notice, TrackingFailure
from edgepose.results import PoseResult
from edgepose.streaming.flow_control import FrameDrop
from edgepose_runtime.events import StreamEvent

#: Notices other than results that may wait for a callback that does not return.
QUEUED_NOTICES = 1000


class Outbox:
    """Results, and other notices between them. Not locked.

    How many results may wait is up to the lane; of the others, the oldest makes room.
    """

    def __init__(self) -> None:
        self._notices: deque[Notice] = deque()
        self._results = 0

    def __len__(self) -> int:
        return len(self._notices)

    @property
    def results(self) -> int:
        """How many results wait."""
        return self._results

    @property
    def ended_frames(self) -> int:
        """How many of the notices tell of a drop or an error."""
        return sum(isinstance(n, (FrameDrop, TrackingFailure)) for n in self._notices)

    def put_result(self, result: PoseResult) -> None:
        """Add a result."""
        self._notices.append(result)
        self._results += 1

    def put(self, notice: FrameDrop | TrackingFailure | StreamEvent) -> Notice | None:
        """Add another notice; return the one that had to make room for it."""
        oldest = None
        if len(self._notices) - self._results >= QUEUED_NOTICES:
            oldest = next(n for n in self._notices if not isinstance(n, PoseResult))
            self._notices.remove(oldest)
        self._notices.append(notice)
        return oldest

    def take(self) -> Notice:
        """Take out what comes next; there must be something."""
        notice = self._notices.popleft()
        self._results -= isinstance(notice, PoseResult)
        return notice

    def take_oldest_result(self) -> PoseResult:
        """Take out the result that has waited longest; there must be one."""
        oldest = next(notice for notice in self._notices if isinstance(notice, PoseResult))
        self._notices.remove(oldest)
        self._results -= 1
        return oldest

    def take_results(self) -> list[PoseResult]:
        """Take out all results."""
        results = [notice for notice in self._notices if isinstance(notice, PoseResult)]
        self._notices = deque(n for n in self._notices if not isinstance(n, PoseResult))
        self._results = 0
        return results

    def clear(self) -> None:
        """Take out everything."""
        self._notices.clear()
        self._results = 0
