"""The queues of several streams under one lock: which frame is tracked next, what is delivered."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgepose.results import DropReason, Notification, PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.lifecycle import LockedLifecycle, State
from edgepose.streaming.stream_queue import Job, StreamQueue
from edgepose_runtime.errors import ClosedError, ConfigError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.roi import RoiLike

logger = logging.getLogger("edgepose")


class StreamScheduler:
    """Queues that threads share; neither tracking nor a callback runs under their lock.

    At most one frame of a queue is tracked at a time. Queues take turns, for tracking as for
    delivery. Any thread may
    call any method, a callback included; in the child of a fork they refuse.
    """

    def __init__(self) -> None:
        self.lifecycle = LockedLifecycle()
        self._changed = self.lifecycle.changed
        self._queues: list[StreamQueue] = []  # each thread's next turn comes first
        self._to_deliver: list[StreamQueue] = []
        self._delivering: StreamQueue | None = None
        self._outdated = False

    @property
    def delivers_outdated(self) -> bool:
        """Whether what is being delivered is from before a reset. Not locked."""
        return self._outdated

    def add(self, queue: StreamQueue) -> None:
        """Track the frames of a queue from now on."""
        with self.lifecycle.locked():
            self.lifecycle.require_open()
            self._queues.append(queue)
            self._to_deliver.append(queue)

    def submit(
        self,
        queue: StreamQueue,
        image: NDArray[np.uint8],
        timestamp_ms: float | None,
        roi: RoiLike | None = None,
        called: float | None = None,
    ) -> int:
        """Hand a frame to a queue, waiting where every frame counts and there is no room.

        See :meth:`StreamQueue.submit`.

        Raises:
            TimestampError: the timestamp is not after the last one.
            ClosedError: closed before the frame was taken, or a thread failed.
            ConfigError: it would wait for the callback that calls it.
        """
        called = time.monotonic() if called is None else called  # the wait is not part of it
        self.lifecycle.require_own_process()
        with self._changed:
            if not queue.has_room and self.lifecycle.is_in_callback:
                raise ConfigError(
                    "submit() was called in a callback while the queue was full, and would wait "
                    "for that callback to return; use policy='latest' or another thread."
                )
            self._wait_for_room(queue)
            try:
                return queue.submit(image, timestamp_ms, roi, called)
            finally:
                self._changed.notify_all()

    def refuse(self, queue: StreamQueue, error: Exception) -> None:
        """Report a frame of a source that cannot be tracked."""
        with self.lifecycle.locked():
            self._wait_for_room(queue)
            queue.refuse(error)
            self._changed.notify_all()

    def add_event(self, queue: StreamQueue, event: StreamEvent) -> None:
        """Report an event, unless all is over."""
        with self.lifecycle.locked():
            if not self.lifecycle.ended:
                queue.add_event(event)
                self._changed.notify_all()

    def end(self, queue: StreamQueue, error: Exception | None) -> None:
        """Report, once a queue's frames are done, that there will be no more."""
        with self.lifecycle.locked():
            if not self.lifecycle.ended:
                queue.end(error)
                self._changed.notify_all()

    def flush(self, timeout: float | None) -> bool:
        """Wait until every frame has ended and the callbacks have returned.

        Returns:
            Whether that came true within ``timeout`` seconds.

        Raises:
            ClosedError: closed before, or a thread failed.
            ConfigError: called in a callback, for which it would wait.
        """
        with self.lifecycle.locked():
            self._flush_queues()
            return self.lifecycle.wait("flush()", lambda: self._is_idle, timeout)

    def reset(
        self, queue: StreamQueue, recorder: StatsRecorder, forget: Callable[[], None]
    ) -> None:
        """Drop a queue's frames and restart it, once no thread tracks a frame of it.

        Args:
            queue: the queue.
            recorder: counts from now on.
            forget: forgets the person, and what was delivered but not taken. Called under the lock.
        """
        with self.lifecycle.locked():
            queue.drop_all(DropReason.RESET)
            self._changed.wait_for(lambda: not queue.working or self.lifecycle.ended)
            self.lifecycle.require_open()
            queue.drop_all(DropReason.RESET)  # what was submitted meanwhile
            self._outdated = self._delivering is queue
            forget()
            queue.restart(recorder)
            self._changed.notify_all()

    def retire(self, queue: StreamQueue) -> None:
        """Drop a queue's frames, and deliver its end; no more frames are taken."""
        with self.lifecycle.locked():
            if not self.lifecycle.ended:
                queue.drop_all(DropReason.CLOSED)
                queue.end(None)
                self._changed.notify_all()

    def wait_for_end(self, timeout: float | None) -> bool:
        """Wait until all queues have ended, and everything is delivered.

        Returns:
            Whether that came true within ``timeout`` seconds.

        Raises:
            ClosedError: closed before, or a thread failed.
            ConfigError: called in a callback, for which it would wait.
        """
        with self.lifecycle.locked():
            return self.lifecycle.wait(
                "wait()", lambda: not (self._to_deliver or self._delivering), timeout
            )

    def next_job(self) -> tuple[StreamQueue, Job] | None:
        """Wait for a job; ``None`` when there will be none."""
        with self._changed:
            while not self.lifecycle.ended:
                queue = _turn(self._queues, lambda queue: queue.is_ready)
                if queue is None:
                    if self.lifecycle.state is State.DRAINING and all(
                        x.is_drained for x in self._queues
                    ):
                        return None
                    self._changed.wait()
                elif (job := queue.take()) is not None:
                    self._changed.notify_all()
                    return queue, job
                else:
                    self._changed.notify_all()
            return None

    def next_notification(self) -> tuple[StreamQueue, Notification] | None:
        """Wait for a notification, the last being delivered; ``None`` when all is over.

        For one thread only.
        """
        with self._changed:
            self.lifecycle.callback_thread = threading.get_ident()
            self._delivering = None
            self._outdated = False
            self._changed.notify_all()
            while self.lifecycle.state is not State.CLOSED:
                queue = _turn(self._to_deliver, lambda queue: queue.has_notification)
                if queue is not None and (notification := queue.next_notification()) is not None:
                    self._delivering = queue
                    if queue.is_over:
                        self._queues.remove(queue)
                        self._to_deliver.remove(queue)
                    self._changed.notify_all()
                    return queue, notification
                if self.lifecycle.state is State.DRAINING and self._is_idle:
                    self.end_all()
                    return None
                self._changed.wait()
            return None

    def finish(
        self, queue: StreamQueue, job: Job, outcome: Sequence[PoseResult | StreamEvent] | Exception
    ) -> None:
        """Take in the outcome of a job."""
        with self._changed:
            queue.finish(job, outcome)
            self._changed.notify_all()

    def drain(self, *, drop: bool) -> None:
        """Take no more frames.

        Args:
            drop: those that wait, rather than process them.
        """
        with self._changed:
            self.lifecycle.move(State.DRAINING)
            for queue in self._queues if drop else ():
                queue.drop_frames(DropReason.CLOSED)
            self._flush_queues()
            self._changed.notify_all()

    def wait_until_idle(self, timeout: float) -> None:
        """Wait until everything is processed and delivered, or all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle or self.lifecycle.ended, timeout)

    def end_all(self) -> None:
        """End: what is not done is dropped, what is not delivered is counted."""
        with self._changed:
            if not self.lifecycle.move(State.CLOSED):
                return
            for queue in self._queues:
                queue.drop_all(DropReason.CLOSED)
                queue.discard_notifications()
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Wake all waiting threads: no frame will be tracked any more."""
        logger.error("A thread of the tracker failed.", exc_info=error)
        with self._changed:
            if self.lifecycle.fail(error):
                for queue in self._queues:
                    queue.fail_all(self.lifecycle.closed_error())
            self._delivering = None
            self._changed.notify_all()

    def _wait_for_room(self, queue: StreamQueue) -> None:
        self._changed.wait_for(
            lambda: queue.has_room or not self.lifecycle.is_running or not queue.takes_frames
        )
        if not self.lifecycle.is_running:
            self.lifecycle.require_running()
        if not queue.takes_frames:
            raise ClosedError("The source was removed; its frames are not tracked any more.")

    def _flush_queues(self) -> None:
        for queue in self._queues:
            queue.flush()
        self._changed.notify_all()

    @property
    def _is_idle(self) -> bool:
        return self._delivering is None and all(queue.is_idle for queue in self._queues)


def _turn(queues: list[StreamQueue], wanted: Callable[[StreamQueue], bool]) -> StreamQueue | None:
    """Return the first queue that fits, and put it behind the others."""
    for index, queue in enumerate(queues):
        if wanted(queue):
            queues.append(queues.pop(index))
            return queue
    return None
