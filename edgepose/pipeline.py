"""The threads between ``submit()`` and the callbacks."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from edgepose.exiting import join_at_exit
from edgepose.flow import DropReason, PendingFrame
from edgepose.lane import Lane
from edgepose.lifecycle import Lifecycle, State
from edgepose.notices import Notice
from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder
from edgepose_runtime.errors import ClosedError, ConfigError, EdgePoseError
from edgepose_runtime.events import StreamEvent

logger = logging.getLogger("edgepose")

#: How long a thread that has nothing left to do may take to end, in seconds.
_GRACE_S = 1.0


class Pipeline:
    """Works on the frames of several lanes, and tells about them on one thread of its own.

    One lock guards all lanes; neither tracking nor a callback runs under it. A lane has at most
    one frame in work; lanes take turns, for work as for telling.

    Any thread may call any method, a callback included. After a fork nothing of it works in the
    child, where its threads do not exist.

    Args:
        deliver: tells the user; called on the dispatch thread only.
        workers: threads that track.
        on_failure: called when a thread ended that must not end, to wake whoever waits elsewhere.
    """

    def __init__(
        self,
        deliver: Callable[[Lane, Notice], None],
        *,
        workers: int = 1,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._deliver = deliver
        self._on_failure = on_failure
        self._changed = threading.Condition()
        self._life = Lifecycle()
        self._process = os.getpid()
        self._lanes: list[Lane] = []
        self._delivering: Lane | None = None
        self._failure: BaseException | None = None
        self._untold: BaseException | None = None
        self._release: Callable[[], None] | None = None
        self._working = 0
        self._workers = [self._thread(self._work, f"track-{i}") for i in range(workers)]
        self._dispatcher = self._thread(self._dispatch, "dispatch")

    @property
    def state(self) -> State:
        """Where the pipeline is in its life."""
        return self._life.state

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is not the child of a fork, where the lock may be held for ever."""
        return os.getpid() == self._process

    def take_error(self) -> ClosedError | None:
        """Return, once, that a thread ended which must not end."""
        with self._changed:
            failure, self._untold = self._untold, None
        if failure is None:
            return None
        error = self._closed_error()
        error.__cause__ = failure
        return error

    def start(self) -> None:
        """Start the threads, unless they run.

        Raises:
            EdgePoseError: the system has no more threads.
            ClosedError: it was closed.
        """
        with self._locked():
            if not self._life.move(State.RUNNING):
                self._require_running()
                return
            join_at_exit(self)
            try:
                for thread in (*self._workers, self._dispatcher):
                    thread.start()
                    self._working += thread is not self._dispatcher
            except RuntimeError as error:
                self._end_by_failure(error)
                raise EdgePoseError(
                    f"The threads for tracking cannot be started: {error}."
                ) from error

    def add(self, lane: Lane) -> None:
        """Work on a lane from now on."""
        with self._locked():
            self._require_open()
            self._lanes.append(lane)

    def submit(
        self,
        lane: Lane,
        image: NDArray[np.uint8],
        timestamp_ms: float | None,
        roi: object = None,
    ) -> int:
        """Hand a frame to a lane, waiting where every frame counts and there is no room.

        Raises:
            TimestampError: the timestamp is not after the last one.
            ClosedError: closed before the frame was taken, or a thread failed.
            ConfigError: it would wait for the callback that calls it.
        """
        with self._locked():
            if threading.current_thread() is self._dispatcher and not lane.has_room:
                raise ConfigError(
                    "submit() was called in a callback while the queue was full, and would wait "
                    "for that callback to return; use policy='latest' or another thread."
                )
            self._wait_for_room(lane)
            try:
                return lane.submit(image, timestamp_ms, roi)
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
            if threading.current_thread() is self._dispatcher:
                raise ConfigError("flush() was called in a callback, and would wait for itself.")
            done = self._changed.wait_for(lambda: self._is_idle or self._life.ended, timeout)
            self._require_open()
            return done

    def reset(self, lane: Lane, recorder: StatsRecorder, forget: Callable[[], None]) -> None:
        """Drop a lane's frames and start it afresh, once no thread works on it.

        Args:
            lane: the lane.
            recorder: counts from now on.
            forget: forgets the person.
        """
        with self._locked():
            lane.drop_all(DropReason.RESET)
            self._changed.wait_for(lambda: not lane.working or self._life.ended)
            self._require_open()
            lane.drop_all(DropReason.RESET)  # what was submitted meanwhile
            forget()
            lane.start_afresh(recorder)
            self._changed.notify_all()

    def close(
        self, timeout: float, *, drain: bool = True, release: Callable[[], None] | None = None
    ) -> None:
        """Take no more frames, work off those that wait, and end the threads.

        What is not done in time is dropped. Returns within about ``timeout`` seconds, whatever
        callbacks and networks do; in a callback, at once.

        Args:
            timeout: seconds for what waits.
            drain: whether to work that off at all.
            release: called once, when no thread tracks any more.
        """
        if not self.is_of_this_process:
            return
        own = threading.current_thread() in (*self._workers, self._dispatcher)
        with self._changed:
            self._release = self._release or release
            self._life.move(State.DRAINING)
            if not drain or own:
                for lane in self._lanes:
                    lane.drop_frames(DropReason.CLOSED)
            self._changed.notify_all()
            if not own:
                self._changed.wait_for(lambda: self._is_idle or self._life.ended, timeout)
                self._end()
        if not own:
            self.join(_GRACE_S)
        self._release_if_done()

    def join(self, timeout: float) -> None:
        """Wait for the threads of a closed pipeline, and say which do not end."""
        deadline = time.monotonic() + timeout
        threads = [t for t in (*self._workers, self._dispatcher) if t.is_alive()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck:
            logger.warning("Closed, but still busy with a call: %s.", ", ".join(stuck))

    def abandon(self) -> None:
        """End without waiting or counting: nobody is left to tell. Safe in a finaliser."""
        if self.is_of_this_process:
            with self._changed:
                self._life.move(State.CLOSED)
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
        """
        with self._locked():
            done = self._changed.wait_for(
                lambda: not (self._lanes or self._delivering) or self._life.ended, timeout
            )
            self._require_open()
            return done

    def _wait_for_room(self, lane: Lane) -> None:
        self._changed.wait_for(
            lambda: lane.has_room or not self._is_running or not lane.takes_frames
        )
        self._require_running()
        if not lane.takes_frames:
            raise ClosedError("The source was removed; its frames are not tracked any more.")

    def _work(self) -> None:
        with self._edge_of_thread():
            while (job := self._next_job()) is not None:
                lane, frame = job
                outcome = _outcome(lane, frame)
                with self._changed:
                    lane.finish(frame, outcome)
                    self._changed.notify_all()
        with self._changed:
            self._working -= 1
        self._release_if_done()

    def _dispatch(self) -> None:
        with self._edge_of_thread():
            while (told := self._next_notice()) is not None:
                self._deliver(*told)
        self._release_if_done()

    def _next_job(self) -> tuple[Lane, PendingFrame] | None:
        with self._changed:
            while not self._life.ended:
                lane = self._turn(lambda lane: lane.is_ready)
                if lane is None:
                    if self.state is State.DRAINING and not any(x.has_frames for x in self._lanes):
                        return None
                    self._changed.wait()
                elif (frame := lane.take()) is not None:
                    self._changed.notify_all()
                    return lane, frame
                else:
                    self._changed.notify_all()
            return None

    def _next_notice(self) -> tuple[Lane, Notice] | None:
        with self._changed:
            self._delivering = None
            self._changed.notify_all()
            while self.state is not State.CLOSED:
                lane = self._turn(lambda lane: lane.has_notice)
                if lane is not None and (notice := lane.next_notice()) is not None:
                    self._delivering = lane
                    if lane.is_over:
                        self._lanes.remove(lane)
                    self._changed.notify_all()
                    return lane, notice
                if self.state is State.DRAINING and self._is_idle:
                    self._end()
                    return None
                self._changed.wait()
            return None

    def _turn(self, wanted: Callable[[Lane], bool]) -> Lane | None:
        """Return the first lane that fits, and put it behind the others."""
        for index, lane in enumerate(self._lanes):
            if wanted(lane):
                self._lanes.append(self._lanes.pop(index))
                return lane
        return None

    @property
    def _is_running(self) -> bool:
        return self.state is State.RUNNING

    @property
    def _is_idle(self) -> bool:
        return self._delivering is None and all(lane.is_idle for lane in self._lanes)

    def _end(self) -> None:
        with self._changed:
            if not self._life.move(State.CLOSED):
                return
            for lane in self._lanes:
                lane.drop_all(DropReason.CLOSED)
                lane.discard_notices()
            self._changed.notify_all()

    def _end_by_failure(self, error: BaseException) -> None:
        """Wake whoever waits: no frame will be worked on any more."""
        logger.error("A thread of the tracker failed.", exc_info=error)
        with self._changed:
            if self._life.move(State.FAILED):
                self._failure = self._untold = error
                for lane in self._lanes:
                    lane.fail_all(self._closed_error())
            self._delivering = None
            self._changed.notify_all()
        if self._on_failure is not None:
            self._on_failure()

    @contextmanager
    def _edge_of_thread(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it reaches whoever waits, and close()
            self._end_by_failure(error)

    def _release_if_done(self) -> None:
        with self._changed:
            if self._working or not self._life.ended or self.state is State.FAILED:
                return
            release, self._release = self._release, None
        if release is not None:
            release()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.is_of_this_process:
            raise ClosedError(
                "The tracker was made in another process: its threads do not survive a fork. "
                "Make a new one in this process."
            )
        with self._changed:
            yield

    def _require_running(self) -> None:
        if not self._is_running:
            raise self._closed_error() from self._failure

    def _require_open(self) -> None:
        if self._life.ended:
            raise self._closed_error() from self._failure

    def _closed_error(self) -> ClosedError:
        if self._failure is None:
            return ClosedError("The tracker was closed; make a new one.")
        return ClosedError(f"A thread of the tracker failed: {self._failure!r}. Make a new one.")

    @staticmethod
    def _thread(target: Callable[[], None], name: str) -> threading.Thread:
        return threading.Thread(target=target, name=f"edgepose-{name}", daemon=True)


def _outcome(lane: Lane, frame: PendingFrame) -> PoseResult | Exception:
    try:
        return lane.work(frame)
    except Exception as error:  # noqa: BLE001 - it becomes the frame's end
        return error
