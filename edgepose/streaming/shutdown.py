"""The end of the program, and of trackers that nobody closed."""

from __future__ import annotations

import atexit
import logging
import time
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Any, Protocol, TypeVar

from edgepose_runtime.checks import checked_timeout

logger = logging.getLogger("edgepose")

Owner = TypeVar("Owner", bound="ManagedResource")

#: How long ``close()`` processes what waits, in seconds, before it drops the rest.
CLOSE_TIMEOUT_S = 5.0
#: How long it waits where the results are not wanted, in seconds.
DROP_TIMEOUT_S = 1.0


class ManagedResource(ABC):
    """A tracker or a pool: what has to be closed, or used in a ``with`` block."""

    #: The keyword arguments that it was made with.
    _options_given: dict[str, Any]

    def close(self, timeout: float = CLOSE_TIMEOUT_S) -> None:
        """Process what was submitted, then release threads, sources and networks.

        Networks that are shared stay open. Legal at any time, from any thread, also in a callback;
        a second call does nothing. It returns within little more than ``timeout``, even if a
        callback or a network never does: what is not done by then is dropped.

        Args:
            timeout: seconds for what waits.

        Raises:
            ConfigError: the timeout is no finite number, or below 0; nothing was closed.
            Exception: the first error that no ``on_error`` handled.
        """
        error = self._close(checked_timeout(timeout), drain=True)
        if error is not None:
            raise error

    def __enter__(self: Owner) -> Owner:
        return self

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        """Pickle the options alone: another process makes a tracker of its own, which is new."""
        return _make, (type(self), self._options_given)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is None:
            self.close()
        else:  # which must not be hidden by another one, nor wait
            self._close(DROP_TIMEOUT_S, drain=False)

    @abstractmethod
    def _close(self, timeout: float, *, drain: bool) -> Exception | None:
        """Close, and return the error that was not handled."""


def _make(kind: Callable[..., Owner], options: dict[str, Any]) -> Owner:
    return kind(**options)


class ThreadOwner(Protocol):
    """Something that runs threads."""

    @property
    def is_of_this_process(self) -> bool:
        """Whether the threads exist."""

    def join(self, timeout: float) -> None:
        """Wait for the threads."""


_owners: weakref.WeakKeyDictionary[ManagedResource, Callable[[], None]] = (
    weakref.WeakKeyDictionary()
)
_threaded: weakref.WeakSet[ThreadOwner] = weakref.WeakSet()


def close_at_exit(
    owner: ManagedResource, abandon: Callable[[], None]
) -> weakref.finalize[Any, Any]:
    """Close an owner before the interpreter ends.

    Args:
        owner: a tracker or pool.
        abandon: ends its threads, should it be forgotten before.

    Returns:
        What calls ``abandon``, to be detached when the threads have ended.
    """
    _owners[owner] = abandon
    finalizer = weakref.finalize(owner, abandon)
    finalizer.atexit = False
    return finalizer


def join_at_exit(threaded: ThreadOwner) -> None:
    """Wait for threads before the interpreter ends."""
    _threaded.add(threaded)


@atexit.register
def _close_all() -> None:
    """End threads while the interpreter still stands: they may be deep inside a network."""
    deadline = time.monotonic() + CLOSE_TIMEOUT_S
    owners = list(_owners.items())
    for index, (owner, abandon) in enumerate(owners):
        left = deadline - time.monotonic()
        if left > 0:
            # A share, so that one that hangs leaves time for the others.
            error = _close(owner, left / (len(owners) - index))
        else:
            error = None
            abandon()
        if error is not None:
            logger.error("A tracker that was not closed had an error.", exc_info=error)
    deadline = time.monotonic() + CLOSE_TIMEOUT_S
    for threaded in list(_threaded):
        if threaded.is_of_this_process:
            threaded.join(max(0.0, deadline - time.monotonic()))


def _close(owner: ManagedResource, timeout: float) -> Exception | None:
    """Close an owner; return the error that was not handled, or with which closing failed."""
    try:
        return owner._close(timeout, drain=True)
    except Exception as error:  # noqa: BLE001 - it must not keep the others from being closed
        return error
