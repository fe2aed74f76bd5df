"""Results from the dispatch thread to the thread that iterates over them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

from edgepose.results import PoseResult, StreamEnd, TrackingFailure
from edgepose.tracking.frame import Image


class ResultIterator:
    """Holds one result until it is taken, so that a slow consumer acts like a slow callback.

    The dispatch thread puts, one thread iterates, any thread may close or forget.

    Args:
        is_outdated: whether what is being handed over is from before a reset.
    """

    def __init__(self, is_outdated: Callable[[], bool] = lambda: False) -> None:
        self._is_outdated = is_outdated
        self._changed = threading.Condition()
        self._item: PoseResult | TrackingFailure | StreamEnd | None = None
        self._image: Image | None = None
        self._closed = False

    def put(
        self, item: PoseResult | TrackingFailure | StreamEnd, image: Image | None = None
    ) -> None:
        """Hand something over, with a result's image; returns when there is room for the next."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            if isinstance(item, PoseResult) and self._is_outdated():
                return
            self._item, self._image = item, image
            self._changed.notify_all()

    def forget_result(self) -> None:
        """Let go of a result that was not taken."""
        with self._changed:
            if isinstance(self._item, PoseResult):
                self._item = self._image = None
                self._changed.notify_all()

    def close(self) -> None:
        """Wake waiting threads: nothing more will be handed over or taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[tuple[Image | None, PoseResult]]:
        """Take results with their images until the end.

        Raises:
            Exception: the error with which a frame or the source ended.
        """
        while (taken := self._take()) is not None:
            image, item = taken
            if isinstance(item, PoseResult):
                yield image, item
            elif item.error is not None:
                raise item.error
            else:
                return

    def _take(self) -> tuple[Image | None, PoseResult | TrackingFailure | StreamEnd] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, image = self._item, self._image
            self._item = self._image = None
            self._changed.notify_all()
            return None if item is None else (image, item)
