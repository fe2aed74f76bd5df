"""The lock around what threads share, and who is turned away at it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from edgepose.streaming.lifecycle import Lifecycle, State
from edgepose_runtime.errors import ClosedError, ConfigError


class Guarded:
    """What threads share under one lock, with a life that ends.

    Turned away are the child of a fork, where the lock may be held for ever; whoever comes after
    the end; and a callback that would wait for itself.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._life = Lifecycle()
        self._process = os.getpid()
        self._teller: int | None = None  # the thread that calls callbacks
        self._failure: BaseException | None = None
        self._untold: BaseException | None = None

    @property
    def state(self) -> State:
        """Where it is in its life."""
        return self._life.state

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is not the child of a fork, where the lock may be held for ever."""
        return os.getpid() == self._process

    def require_own_process(self) -> None:
        """Refuse in the child of a fork.

        Raises:
            ClosedError: this is one.
        """
        if not self.is_of_this_process:
            raise ClosedError(
                "The tracker was made in another process: its threads do not survive a fork. "
                "Make a new one in this process."
            )

    def take_error(self) -> ClosedError | None:
        """Return, once, that a thread ended which must not end."""
        with self._changed:
            failure, self._untold = self._untold, None
        if failure is None:
            return None
        error = self._closed_error()
        error.__cause__ = failure
        return error

    def abandon(self) -> None:
        """End without waiting or counting: nobody is left to tell. Safe in a finaliser."""
        if self.is_of_this_process:
            with self._changed:
                self._life.move(State.CLOSED)
                self._changed.notify_all()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self.require_own_process()
        with self._changed:
            yield

    def _wait(self, call: str, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until something is so, and say whether it is; unless there is nothing to wait for.

        Args:
            call: names the caller.
            condition: what to wait for.
            timeout: seconds, ``None`` for as long as it takes.
        """
        if self._is_in_callback:
            raise ConfigError(f"{call} was called in a callback, and would wait for itself.")
        done = self._changed.wait_for(lambda: condition() or self._life.ended, timeout)
        self._require_open()
        return done

    def _break(self, error: BaseException) -> bool:
        """End with the error of a thread; return False where it had ended already."""
        if not self._life.move(State.FAILED):
            return False
        self._failure = self._untold = error
        return True

    @property
    def _is_running(self) -> bool:
        return self.state is State.RUNNING

    @property
    def _is_in_callback(self) -> bool:
        return threading.get_ident() == self._teller

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
