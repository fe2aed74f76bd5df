"""Calling the user's functions, and what becomes of the exceptions in them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from edgepose.notices import Notice, StreamEnd, TrackingFailure
from edgepose.results import PoseResult
from edgepose.streaming.flow_control import FrameDrop
from edgepose.streaming.stream_queue import Lane
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.events import StreamEvent

logger = logging.getLogger("edgepose")

Callback = Callable[..., object]

_CALLBACK_OF: dict[type, str] = {
    PoseResult: "on_result",
    FrameDrop: "on_drop",
    TrackingFailure: "on_error",
    StreamEvent: "on_event",
    StreamEnd: "on_end",
}


@dataclass(frozen=True, slots=True)
class Callbacks:
    """The user's functions, each called with one argument.

    Attributes:
        on_result: gets each :class:`PoseResult`.
        on_drop: gets each :class:`FrameDrop`.
        on_error: gets each :class:`TrackingFailure`; when it returns, the error is dealt with.
        on_event: gets each :class:`StreamEvent`.
        on_end: gets a :class:`StreamEnd` when a source ended and all is told.

    Raises:
        ConfigError: one of them cannot be called.
    """

    on_result: Callback | None = None
    on_drop: Callback | None = None
    on_error: Callback | None = None
    on_event: Callback | None = None
    on_end: Callback | None = None

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not callable(value):
                raise ConfigError(f"{field.name} must be a function, or None; got {value!r}.")


class Dispatcher:
    """Tells the callbacks. One thread calls :meth:`deliver`; any thread the rest.

    Args:
        callbacks: the user's functions.
        arguments: what to call them with.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        arguments: Callable[[Lane, Notice], tuple[Any, ...]] = lambda _, notice: (notice,),
    ) -> None:
        self._callbacks = callbacks
        self._arguments = arguments
        self._unhandled: Exception | None = None

    def deliver(self, lane: Lane, notice: Notice) -> None:
        """Call the callback for a notice; an exception in it goes to ``on_error``."""
        name = _CALLBACK_OF[type(notice)]
        callback: Callback | None = getattr(self._callbacks, name)
        if callback is None:
            if isinstance(notice, TrackingFailure):
                self._remember(notice.error)
            elif isinstance(notice, StreamEnd) and notice.error is not None:
                self.deliver(lane, TrackingFailure(notice.error))
            return
        try:
            callback(*self._arguments(lane, notice))
        except Exception as error:  # noqa: BLE001 - whatever user code raises must not be lost
            lane.recorder.add_callback_error()
            self._callback_failed(lane, name, notice, error)

    def take_unhandled(self) -> Exception | None:
        """Return the first error that no ``on_error`` dealt with, once."""
        error, self._unhandled = self._unhandled, None
        return error

    def _callback_failed(self, lane: Lane, name: str, notice: Notice, error: Exception) -> None:
        if name == "on_error":
            if isinstance(notice, TrackingFailure) and error is not notice.error:
                error.__context__ = notice.error
            self._remember(error)
            return
        frame_id = getattr(notice, "frame_id", None)
        self.deliver(lane, TrackingFailure(error, frame_id, notice_time(notice), callback=name))

    def _remember(self, error: Exception) -> None:
        logger.error("An error that no on_error took: %s", error)
        if self._unhandled is None:
            self._unhandled = error


def notice_time(notice: Notice) -> float | None:
    """Return the time that a notice is about, if it has one."""
    return getattr(notice, "timestamp_ms", None)
