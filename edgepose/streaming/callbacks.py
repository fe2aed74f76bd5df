"""Calling the user's functions, and what becomes of the exceptions in them.

They are called on the thread ``edgepose-dispatch``, which :mod:`edgepose.streaming.pipeline` runs.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from edgepose.results import FrameDrop, Notification, PoseResult, StreamEnd, TrackingFailure
from edgepose.streaming.stream_queue import StreamQueue
from edgepose.tracking.frame import Image
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
        on_error: gets each :class:`TrackingFailure`; when it returns, the error is handled.
        on_event: gets each :class:`StreamEvent`.
        on_end: gets a :class:`StreamEnd` when a source ended and everything is delivered.

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
    """Calls the callbacks. One thread calls :meth:`deliver`; any thread the rest.

    Args:
        callbacks: the user's functions.
        arguments: what to call them with.
    """

    def __init__(
        self,
        callbacks: Callbacks,
        arguments: Callable[
            [StreamQueue, Notification], tuple[Any, ...]
        ] = lambda _, notification: (notification,),
    ) -> None:
        self._callbacks = callbacks
        self._arguments = arguments
        self._unhandled: Exception | None = None

    def deliver(self, queue: StreamQueue, notification: Notification) -> None:
        """Call the callback for a notification; an exception in it goes to ``on_error``."""
        name = _CALLBACK_OF[type(notification)]
        callback: Callback | None = getattr(self._callbacks, name)
        if callback is None:
            if isinstance(notification, TrackingFailure):
                self._remember(notification.error)
            elif isinstance(notification, StreamEnd) and notification.error is not None:
                self.deliver(queue, TrackingFailure(notification.error))
            return
        try:
            callback(*self._arguments(queue, notification))
        except Exception as error:  # noqa: BLE001 - whatever user code raises must not be lost
            queue.recorder.add_callback_error()
            self._callback_failed(queue, name, notification, error)

    def take_unhandled(self) -> Exception | None:
        """Return the first error that no ``on_error`` handled, once."""
        error, self._unhandled = self._unhandled, None
        return error

    def _callback_failed(
        self, queue: StreamQueue, name: str, notification: Notification, error: Exception
    ) -> None:
        if name == "on_error":
            if isinstance(notification, TrackingFailure) and error is not notification.error:
                error.__context__ = notification.error
            self._remember(error)
            return
        frame_id = getattr(notification, "frame_id", None)
        self.deliver(
            queue, TrackingFailure(error, frame_id, notification_time(notification), callback=name)
        )

    def _remember(self, error: Exception) -> None:
        logger.error("An error that no on_error took: %s", error)
        if self._unhandled is None:
            self._unhandled = error


def notification_time(notification: Notification) -> float | None:
    """Return the time that a notification is about, if it has one."""
    return getattr(notification, "timestamp_ms", None)


def with_frames(on_frame: Callback | None, on_result: Callback | None) -> Callback:
    """Return what :func:`named_arguments` are given to for a result: both functions in one.

    Raises:
        ConfigError: neither is given, or ``on_frame`` cannot be called.
    """
    if on_frame is None:
        if on_result is None:
            raise ConfigError("Nobody would get the results; give on_result or on_frame.")
        return on_result
    if not callable(on_frame):
        raise ConfigError(f"on_frame must be a function, or None; got {on_frame!r}.")

    def call_both(name: str, image: Image, result: PoseResult) -> None:
        on_frame(name, image, result)
        if on_result is not None:
            on_result(name, result)

    return call_both


def named_arguments(queue: StreamQueue, notification: Notification) -> tuple[Any, ...]:
    """Return the stream's name and the notification; of a result also its image, if it is kept."""
    if isinstance(notification, PoseResult):
        image = queue.take_image(notification)
        if image is not None:
            return queue.name, image, notification
    return queue.name, notification
