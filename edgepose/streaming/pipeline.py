"""The threads between ``submit()`` and the callbacks."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from edgepose.results import Notification, PoseResult
from edgepose.streaming.lifecycle import State
from edgepose.streaming.scheduler import StreamScheduler
from edgepose.streaming.shutdown import join_at_exit
from edgepose.streaming.stream_queue import Flush, Job, StreamQueue
from edgepose_runtime.errors import EdgePoseError
from edgepose_runtime.events import StreamEvent

logger = logging.getLogger("edgepose")

#: How long a thread that has nothing left to do may take to end, in seconds.
_GRACE_S = 1.0


class Pipeline:
    """Tracks the frames of several queues, and calls the callbacks on one thread of its own.

    What is submitted and delivered goes through :attr:`scheduler`; this runs the threads.

    Args:
        deliver: calls the callbacks; called on the dispatch thread only.
        workers: threads that track.
        on_failure: called when a thread failed, to wake threads that wait elsewhere.
    """

    def __init__(
        self,
        deliver: Callable[[StreamQueue, Notification], None],
        *,
        workers: int = 1,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self.scheduler = StreamScheduler()
        self._lifecycle = self.scheduler.lifecycle
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
        if self._lifecycle.is_running:
            return
        with self._lifecycle.locked():
            if not self._lifecycle.move(State.RUNNING):
                self._lifecycle.require_running()
                return
            join_at_exit(self)
            try:
                for thread in (*self._workers, self._dispatcher):
                    thread.start()
                    self._working += thread is not self._dispatcher
            except RuntimeError as error:
                self.scheduler.fail(error)
                raise EdgePoseError(
                    f"The threads for tracking cannot be started: {error}."
                ) from error

    @property
    def is_of_this_process(self) -> bool:
        """Whether the threads exist: this is not the child of a fork."""
        return self._lifecycle.is_of_this_process

    def close(
        self, timeout: float, *, drain: bool = True, release: Callable[[], None] | None = None
    ) -> None:
        """Take no more frames, process those that wait, and end the threads.

        What is not done in time is dropped. Returns within about ``timeout`` seconds, whatever
        callbacks and networks do; in a callback, at once.

        Args:
            timeout: seconds for what waits.
            drain: whether to process that at all.
            release: called once, when no thread tracks any more.
        """
        if not self._lifecycle.is_of_this_process:
            return
        own = threading.current_thread() in (*self._workers, self._dispatcher)
        with self._lifecycle.changed:
            self._release = self._release or release
        self.scheduler.drain(drop=own or not drain)
        if not own:
            self.scheduler.wait_until_idle(timeout)
            self.scheduler.end_all()
            self.join(_GRACE_S)
        self._release_if_done()

    def join(self, timeout: float) -> None:
        """Wait for the threads of a closed pipeline, and log which do not end."""
        deadline = time.monotonic() + timeout
        threads = [t for t in (*self._workers, self._dispatcher) if t.is_alive()]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = [thread.name for thread in threads if thread.is_alive()]
        if stuck:
            logger.warning("Closed, but still busy with a call: %s.", ", ".join(stuck))

    def _work(self) -> None:
        with self._edge_of_thread():
            while (job := self.scheduler.next_job()) is not None:
                queue, task = job
                outcome = _outcome(queue, task)
                if isinstance(outcome, Exception):
                    _let_go_of_frames(outcome)
                self.scheduler.finish(queue, task, outcome)
        with self._lifecycle.changed:
            self._working -= 1
        self._release_if_done()

    def _dispatch(self) -> None:
        with self._edge_of_thread():
            while (delivery := self.scheduler.next_notification()) is not None:
                self._deliver(*delivery)
        self._release_if_done()

    @contextmanager
    def _edge_of_thread(self) -> Iterator[None]:
        try:
            yield
        except BaseException as error:  # noqa: BLE001 - it reaches waiting threads, and close()
            self.scheduler.fail(error)
            if self._on_failure is not None:
                self._on_failure()

    def _release_if_done(self) -> None:
        with self._lifecycle.changed:
            if self._working or not self._lifecycle.ended or self._lifecycle.state is State.FAILED:
                return
            release, self._release = self._release, None
        if release is not None:
            release()


def _thread(target: Callable[[], None], name: str) -> threading.Thread:
    return threading.Thread(target=target, name=f"edgepose-{name}", daemon=True)


def _outcome(queue: StreamQueue, job: Job) -> Sequence[PoseResult | StreamEvent] | Exception:
    try:
        return queue.step.flush() if job is Flush.HELD else queue.step.run(job)
    except Exception as error:  # noqa: BLE001 - it becomes the frame's end
        return error


def _let_go_of_frames(error: BaseException) -> None:
    """Clear the local variables of calls that failed; the traceback stays.

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
