"""The threads between ``submit()`` and the callbacks."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from edgepose.notices import Notice
from edgepose.results import PoseResult
from edgepose.streaming.lifecycle import State
from edgepose.streaming.scheduler import SharedLanes
from edgepose.streaming.shutdown import join_at_exit
from edgepose.streaming.stream_queue import Flush, Job, Lane
from edgepose_runtime.errors import EdgePoseError

logger = logging.getLogger("edgepose")

#: How long a thread that has nothing left to do may take to end, in seconds.
_GRACE_S = 1.0


class Pipeline(SharedLanes):
    """Works on the frames of several lanes, and tells about them on one thread of its own.

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
        super().__init__()
        self._deliver = deliver
        self._on_failure = on_failure
        self._release: Callable[[], None] | None = None
        self._working = 0
        self._workers = [_thread(self._work, f"track-{i}") for i in range(workers)]
        self._dispatcher = _thread(self._dispatch, "dispatch")

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
                self.fail(error)
                raise EdgePoseError(
                    f"The threads for tracking cannot be started: {error}."
                ) from error

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
        self.drain(drop=own or not drain)
        if not own:
            self.wait_until_idle(timeout)
            self.end_all()
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

    def _work(self) -> None:
        with self._edge_of_thread():
            while (job := self.next_job()) is not None:
                lane, task = job
                outcome = _outcome(lane, task)
                if isinstance(outcome, Exception):
                    _let_go_of_frames(outcome)
                self.finish(lane, task, outcome)
        with self._changed:
            self._working -= 1
        self._release_if_done()

    def _dispatch(self) -> None:
        with self._edge_of_thread():
            while (told := self.next_notice()) is not None:
                self._deliver(*told)
        self._release_if_done()

    @contextmanager
    def _edge_of_thread(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it reaches whoever waits, and close()
            self.fail(error)
            if self._on_failure is not None:
                self._on_failure()

    def _release_if_done(self) -> None:
        with self._changed:
            if self._working or not self._life.ended or self.state is State.FAILED:
                return
            release, self._release = self._release, None
        if release is not None:
            release()


def _thread(target: Callable[[], None], name: str) -> threading.Thread:
    return threading.Thread(target=target, name=f"edgepose-{name}", daemon=True)


def _outcome(lane: Lane, job: Job) -> Sequence[PoseResult] | Exception:
    try:
        return lane.work.flush() if job is Flush.HELD else lane.work(job)
    except Exception as error:  # noqa: BLE001 - it becomes the frame's end
        return error


def _let_go_of_frames(error: BaseException) -> None:
    """Clear the local variables of calls that failed; where they failed can still be told.

    Hundreds of errors may wait for a callback that does not return, each with an image.
    """
    known: set[int] = set()
    causes: list[BaseException | None] = [error]
    while causes:
        cause = causes.pop()
        if cause is not None and id(cause) not in known:
            known.add(id(cause))
            traceback.clear_frames(cause.__traceback__)
            causes += [cause.__cause__, cause.__context__]
