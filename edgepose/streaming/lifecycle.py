"""The lifecycle of what runs threads, as a table, and the lock that guards it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum

from edgepose_runtime.checks import checked_timeout
from edgepose_runtime.errors import ClosedError, ConfigError


class State(str, Enum):
    """Where something with threads is in its life."""

    NEW = "new"
    """No thread was started."""
    RUNNING = "running"
    """Frames are taken and processed."""
    DRAINING = "draining"
    """Being closed: no frame is taken any more, those that wait are processed."""
    FAILED = "failed"
    """A thread ended with an error that it must not have; nothing works but closing."""
    CLOSED = "closed"
    """All is over."""


#: Where each state may lead. ``close()`` is legal in each of them.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.RUNNING, State.CLOSED}),
    State.RUNNING: frozenset({State.DRAINING, State.FAILED, State.CLOSED}),
    State.DRAINING: frozenset({State.FAILED, State.CLOSED}),
    State.FAILED: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


class LockedLifecycle:
    """A lock with a lifecycle, for what several threads share.

    Refused are the child of a fork, where the lock may be held for ever; calls after the end; and
    a callback that would wait for itself.

    Attributes:
        changed: the lock, and the condition that waiting threads are notified of.
        state: where it is in its life.
        is_running: frames are taken.
        ended: no frame will be processed any more.
        callback_thread: number of the thread that calls callbacks, ``None`` before it runs.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.callback_thread: int | None = None
        self.state = State.NEW
        self.is_running = self.ended = False
        self._process = os.getpid()
        self._failure: BaseException | None = None
        self._unreported: BaseException | None = None

    @property
    def is_in_callback(self) -> bool:
        """Whether this is the thread that calls callbacks."""
        return threading.get_ident() == self.callback_thread

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is not the child of a fork, where the lock may be held for ever."""
        return os.getpid() == self._process

    def require_own_process(self) -> None:
        """Refuse in the child of a fork.

        Raises:
            ClosedError: this is one.
        """
        if os.getpid() != self._process:
            raise ClosedError(
                "The tracker was made in another process: its threads do not survive a fork. "
                "Make a new one in this process."
            )

    def require_running(self) -> None:
        """Refuse unless frames are taken.

        Raises:
            ClosedError: they are not.
        """
        if not self.is_running:
            raise self.closed_error() from self._failure

    def require_open(self) -> None:
        """Refuse after the end.

        Raises:
            ClosedError: it was closed, or a thread failed.
        """
        if self.ended:
            raise self.closed_error() from self._failure

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the lock.

        Raises:
            ClosedError: this is the child of a fork.
        """
        self.require_own_process()
        with self.changed:
            yield

    def move(self, state: State) -> bool:
        """Go to a state; return False, and stay, where the table has no such transition."""
        if state not in TRANSITIONS[self.state]:
            return False
        self.state = state
        self.is_running = state is State.RUNNING
        self.ended = state in (State.FAILED, State.CLOSED)
        return True

    def wait(self, call: str, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until a condition holds, and return whether it does; the lock is held.

        Args:
            call: names the caller.
            condition: what to wait for.
            timeout: seconds, ``None`` for as long as it takes.

        Raises:
            ClosedError: it ended.
            ConfigError: this is a callback, or the timeout is no finite number from 0 up.
        """
        if timeout is not None:
            timeout = checked_timeout(timeout)
        if self.is_in_callback:
            raise ConfigError(f"{call} was called in a callback, and would wait for itself.")
        done = self.changed.wait_for(lambda: condition() or self.ended, timeout)
        self.require_open()
        return done

    def fail(self, error: BaseException) -> bool:
        """End with the error of a thread; return False where it had ended already."""
        if not self.move(State.FAILED):
            return False
        self._failure = self._unreported = error
        return True

    def take_error(self) -> ClosedError | None:
        """Return, once, that a thread ended which must not end."""
        with self.changed:
            failure, self._unreported = self._unreported, None
        if failure is None:
            return None
        error = self.closed_error()
        error.__cause__ = failure
        return error

    def abandon(self) -> None:
        """End without waiting or counting: no callback is left. Safe in a finaliser."""
        if self.is_of_this_process:
            with self.changed:
                self.move(State.CLOSED)
                self.changed.notify_all()

    def closed_error(self) -> ClosedError:
        """Return the error for calls after the end."""
        if self._failure is None:
            return ClosedError("The tracker was closed; make a new one.")
        return ClosedError(f"A thread of the tracker failed: {self._failure!r}. Make a new one.")
