"""The thread that moves frames from a source into a queue."""

from __future__ import annotations

import logging
import threading
from typing import Any

from edgepose.streaming.scheduler import StreamScheduler
from edgepose.streaming.stream_queue import StreamQueue
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.errors import ClosedError, EdgePoseError, FrameError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.crop import as_bgr

logger = logging.getLogger("edgepose")

#: How long a read that does not return is waited for, in seconds.
GRACE_S = 1.0


def policy_for(source: FrameSource, policy: str | None) -> str:
    """Return the name of the flow policy: the given one, or what suits the source."""
    return policy or ("latest" if source.is_live else "every-frame")


class SourceReader:
    """Reads a source on a thread of its own, as fast as the queue takes frames.

    Args:
        source: read and closed here.
        queue: gets the frames.
        scheduler: takes the frames of the queue.
    """

    def __init__(self, source: FrameSource, queue: StreamQueue, scheduler: StreamScheduler) -> None:
        self._source = source
        self._queue = queue
        self._scheduler = scheduler
        self._closing = False
        self._thread = threading.Thread(target=self._read, name="edgepose-read", daemon=True)

    def start(self) -> None:
        """Begin to read.

        Raises:
            EdgePoseError: the system has no more threads.
        """
        self._source.subscribe(self._on_event)
        try:
            self._thread.start()
        except RuntimeError as error:
            raise EdgePoseError(
                f"The thread that reads {self._source.name} cannot be started: {error}."
            ) from error

    def stop_source(self) -> None:
        """Let the reading end, without waiting for that."""
        self._closing = True
        self._source.stop()

    def stop(self, timeout: float = GRACE_S) -> None:
        """Close the source; waits for its thread, but not for ever. A second call is fine."""
        self.stop_source()
        if self._thread.ident is None:
            self._source.close()
        elif self._thread is not threading.current_thread():
            self._thread.join(timeout)  # it closes the source
            if self._thread.is_alive():
                logger.warning("Closed, but still busy with a read: %s.", self._source.name)

    def _read(self) -> None:
        error: Exception | None = None
        try:
            for frame in self._source:
                if not self._submit(frame.image, frame.timestamp_ms):
                    break
        except Exception as raised:  # noqa: BLE001 - it reaches those who wait for the frames
            # Closing the source before its first frame is no error.
            error = None if self._closing and isinstance(raised, ClosedError) else raised
        finally:
            self._scheduler.end(self._queue, error)
            self._source.close()

    def _submit(self, image: Any, timestamp_ms: float) -> bool:
        """Hand a frame over; return whether more are wanted."""
        try:
            self._scheduler.submit(self._queue, as_bgr(image), timestamp_ms)
        except FrameError as error:
            return self._refuse(error)
        except ClosedError:
            return False
        return True

    def _refuse(self, error: FrameError) -> bool:
        try:
            # Its traceback would keep the frame for as long as the error waits for its callback.
            self._scheduler.refuse(self._queue, error.with_traceback(None))
        except ClosedError:
            return False
        return True

    def _on_event(self, event: StreamEvent) -> None:
        self._scheduler.add_event(self._queue, event)
