"""The lanes of several streams under one lock: what threads take from and put into."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from edgepose.notices import Notice
from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import DropReason
from edgepose.streaming.guarding import Guarded
from edgepose.streaming.lifecycle import State
from edgepose.streaming.stream_queue import Job, Lane
from edgepose_runtime.errors import ClosedError, ConfigError
from edgepose_runtime.events import StreamEvent

logger = logging.getLogger("edgepose")


class SharedLanes(Guarded):
    """Lanes that threads share; neither tracking nor a callback runs under their lock.

    A lane has at most one frame in work. Lanes take turns, for work as for telling. Any thread may
    call any method, a callback included; in the child of a fork they refuse.
    """

    def __init__(self) -> None:
        super().__init__()
        self._lanes: list[Lane] = []  # each thread's next turn comes first
        self._to_tell: list[Lane] = []
        self._delivering: Lane | None = None
        self._outdated = False

    @property
    def tells_outdated(self) -> bool:
        """Whether what is being told is from before a reset. Not locked."""
        return self._outdated

    def add(self, lane: Lane) -> None:
        """Work on a lane from now on."""
        with self._locked():
            self._require_open()
            self._lanes.append(lane)
            self._to_tell.append(lane)

    def submit(
        self,
        lane: Lane,
        image: NDArray[np.uint8],
        timestamp_ms: float | None,
        roi: object = None,
        called: float | None = None,
    ) -> int:
        """Hand a frame to a lane, waiting where every frame counts and there is no room.

        See :meth:`Lane.submit`.

        Raises:
            TimestampError: the timestamp is not after the last one.
            ClosedError: closed before the frame was taken, or a thread failed.
            ConfigError: it would wait for the callback that calls it.
        """
        called = time.monotonic() if called is None else called  # the wait is not part of it
        with self._locked():
            if self._is_in_callback and not lane.has_room:
                raise ConfigError(
                    "submit() was called in a callback while the queue was full, and would wait "
                    "for that callback to return; use policy='latest' or another thread."
                )
            self._wait_for_room(lane)
            try:
                return lane.submit(image, timestamp_ms, roi, called)
            finally:
                self._changed.notify_all()

    def refuse(self, lane: Lane, error: Exception) -> None:
        """Report a frame that a lane's source delivered and nobody can track."""
        with self._locked():
            self._wait_for_room(lane)
            lane.refuse(error)
            self._changed.notify_all()

    def add_event(self, lane: Lane, event: StreamEvent) -> None:
        """Report an event, unless all is over."""
        with self._locked():
            if not self._life.ended:
                lane.add_event(event)
                self._changed.notify_all()

    def end(self, lane: Lane, error: Exception | None) -> None:
        """Report, once a lane's frames are done, that there will be no more."""
        with self._locked():
            if not self._life.ended:
                lane.end(error)
                self._changed.notify_all()

    def flush(self, timeout: float | None) -> bool:
        """Wait until every frame has ended and the callbacks have returned.

        Returns:
            Whether that came true within ``timeout`` seconds.

        Raises:
            ClosedError: closed before, or a thread failed.
            ConfigError: called in a callback, for which it would wait.
        """
        with self._locked():
            self._flush_lanes()
            return self._wait("flush()", lambda: self._is_idle, timeout)

    def reset(self, lane: Lane, recorder: StatsRecorder, forget: Callable[[], None]) -> None:
        """Drop a lane's frames and start it afresh, once no thread works on it.

        Args:
            lane: the lane.
            recorder: counts from now on.
            forget: forgets the person, and what was told but not heard. Called under the lock.
        """
        with self._locked():
            lane.drop_all(DropReason.RESET)
            self._changed.wait_for(lambda: not lane.working or self._life.ended)
            self._require_open()
            lane.drop_all(DropReason.RESET)  # what was submitted meanwhile
            self._outdated = self._delivering is lane
            forget()
            lane.start_afresh(recorder)
            self._changed.notify_all()

    def retire(self, lane: Lane) -> None:
        """Drop a lane's frames, and tell its end; no more frames are taken."""
        with self._locked():
            if not self._life.ended:
                lane.drop_all(DropReason.CLOSED)
                lane.end(None)
                self._changed.notify_all()

    def wait_for_end(self, timeout: float | None) -> bool:
        """Wait until all lanes have ended, and everything is told.

        Returns:
            Whether that came true within ``timeout`` seconds.

        Raises:
            ClosedError: closed before, or a thread failed.
            ConfigError: called in a callback, for which it would wait.
        """
        with self._locked():
            return self._wait("wait()", lambda: not (self._to_tell or self._delivering), timeout)

    def next_job(self) -> tuple[Lane, Job] | None:
        """Wait for something to work on; ``None`` when there will be nothing."""
        with self._changed:
            while not self._life.ended:
                lane = _turn(self._lanes, lambda lane: lane.is_ready)
                if lane is None:
                    if self.state is State.DRAINING and all(x.is_worked_off for x in self._lanes):
                        return None
                    self._changed.wait()
                elif (job := lane.take()) is not None:
                    self._changed.notify_all()
                    return lane, job
                else:
                    self._changed.notify_all()
            return None

    def next_notice(self) -> tuple[Lane, Notice] | None:
        """Wait for something to tell, the last being told; ``None`` when all is over.

        For one thread only.
        """
        with self._changed:
            self._teller = threading.get_ident()
            self._delivering = None
            self._outdated = False
            self._changed.notify_all()
            while self.state is not State.CLOSED:
                lane = _turn(self._to_tell, lambda lane: lane.has_notice)
                if lane is not None and (notice := lane.next_notice()) is not None:
                    self._delivering = lane
                    if lane.is_over:
                        self._lanes.remove(lane)
                        self._to_tell.remove(lane)
                    self._changed.notify_all()
                    return lane, notice
                if self.state is State.DRAINING and self._is_idle:
                    self.end_all()
                    return None
                self._changed.wait()
            return None

    def finish(self, lane: Lane, job: Job, outcome: Sequence[PoseResult] | Exception) -> None:
        """Take in what came of a job."""
        with self._changed:
            lane.finish(job, outcome)
            self._changed.notify_all()

    def drain(self, *, drop: bool) -> None:
        """Take no more frames.

        Args:
            drop: those that wait, rather than work them off.
        """
        with self._changed:
            self._life.move(State.DRAINING)
            for lane in self._lanes if drop else ():
                lane.drop_frames(DropReason.CLOSED)
            self._flush_lanes()
            self._changed.notify_all()

    def wait_until_idle(self, timeout: float) -> None:
        """Wait until everything is worked off and told, or all is over."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_idle or self._life.ended, timeout)

    def end_all(self) -> None:
        """End the life: what is not done is dropped, what is not told is counted."""
        with self._changed:
            if not self._life.move(State.CLOSED):
                return
            for lane in self._lanes:
                lane.drop_all(DropReason.CLOSED)
                lane.discard_notices()
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Wake whoever waits: no frame will be worked on any more."""
        logger.error("A thread of the tracker failed.", exc_info=error)
        with self._changed:
            if self._break(error):
                for lane in self._lanes:
                    lane.fail_all(self._closed_error())
            self._delivering = None
            self._changed.notify_all()

    def _wait_for_room(self, lane: Lane) -> None:
        self._changed.wait_for(
            lambda: lane.has_room or not self._is_running or not lane.takes_frames
        )
        self._require_running()
        if not lane.takes_frames:
            raise ClosedError("The source was removed; its frames are not tracked any more.")

    def _flush_lanes(self) -> None:
        for lane in self._lanes:
            lane.flush()
        self._changed.notify_all()

    @property
    def _is_idle(self) -> bool:
        return self._delivering is None and all(lane.is_idle for lane in self._lanes)


def _turn(lanes: list[Lane], wanted: Callable[[Lane], bool]) -> Lane | None:
    """Return the first lane that fits, and put it behind the others."""
    for index, lane in enumerate(lanes):
        if wanted(lane):
            lanes.append(lanes.pop(index))
            return lane
    return None
