"""Notifications that wait for a stream's callbacks, in order and bounded."""

from __future__ import annotations

from collections import deque

from edgepose.results import FrameDrop, Notification, PoseResult, TrackingFailure
from edgepose_runtime.events import StreamEvent

#: Notices other than results that may wait for a callback that does not return.
QUEUED_NOTIFICATIONS = 1000


class NotificationQueue:
    """Results, and other notifications between them. Not locked.

    How many results may wait is up to the stream's queue; of the others, the oldest makes room.

    Attributes:
        entries: what waits, to be read only.
        results: how many of them are results.
    """

    def __init__(self) -> None:
        self.entries: deque[Notification] = deque()
        self.results = 0

    @property
    def ended_frames(self) -> int:
        """How many of the notifications report a drop or an error."""
        return sum(isinstance(n, (FrameDrop, TrackingFailure)) for n in self.entries)

    def put_result(self, result: PoseResult) -> None:
        """Add a result."""
        self.entries.append(result)
        self.results += 1

    def put(self, notification: FrameDrop | TrackingFailure | StreamEvent) -> Notification | None:
        """Add another notification; return the one that had to make room for it."""
        oldest = None
        if len(self.entries) - self.results >= QUEUED_NOTIFICATIONS:
            oldest = next(n for n in self.entries if not isinstance(n, PoseResult))
            self.entries.remove(oldest)
        self.entries.append(notification)
        return oldest

    def take(self) -> Notification:
        """Take out what comes next; there must be something."""
        notification = self.entries.popleft()
        self.results -= isinstance(notification, PoseResult)
        return notification

    def take_oldest_result(self) -> PoseResult:
        """Take out the result that has waited longest; there must be one."""
        oldest = next(
            notification for notification in self.entries if isinstance(notification, PoseResult)
        )
        self.entries.remove(oldest)
        self.results -= 1
        return oldest

    def take_results(self) -> list[PoseResult]:
        """Take out all results."""
        results = [
            notification for notification in self.entries if isinstance(notification, PoseResult)
        ]
        self.entries = deque(n for n in self.entries if not isinstance(n, PoseResult))
        self.results = 0
        return results

    def clear(self) -> None:
        """Take out everything."""
        self.entries.clear()
        self.results = 0
