"""One connection to a remote head for many streams."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import replace

from edgepose.inference.model import PoseModel
from edgepose.remote.client import HeadConnection, HeadNetwork, connect
from edgepose.remote.settings import RemoteHead
from edgepose_runtime.backends.triton import BreakerState
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ServerError, ServerFault
from edgepose_runtime.tensors import Array

#: Requests of all streams together that may be under way: each has a thread.
MOST_IN_FLIGHT = 256


class SharedHeadConnection(Closable):
    """A connection that many streams ask, each with counts, events and limits of its own.

    What one stream finds out about the server holds for all: when it is given up, all get an
    event, and one probe finds out for all of them that it is back.

    Args:
        model: see :class:`HeadConnection`, like the others.
        settings: ``server.in_flight`` is for each stream.
        local: the bundle's own head steps in while the remote one is away.

    Raises:
        ConfigError: the model's method cannot, or the token would be sent in the clear.
        BackendUnavailableError: ``tritonclient`` is not installed.
    """

    def __init__(self, model: PoseModel, settings: RemoteHead, *, local: bool = True) -> None:
        self._model = model
        self._settings = settings
        self._local = local
        self._lock = threading.Lock()
        # Weakly: a stream that ended must not be kept for events that it will not deliver.
        self._connections: weakref.WeakSet[HeadConnection] = weakref.WeakSet()
        self._lost: str | None = None
        together = replace(settings.server, in_flight=MOST_IN_FLIGHT)
        self._network = connect(model, replace(settings, server=together), self._note)

    def new_connection(self) -> HeadConnection:
        """Return the connection as one stream has it; a server that is away is reported at once."""
        share = _StreamConnection(self._network, self._settings.server.in_flight)
        connection = HeadConnection(self._model, self._settings, local=self._local, network=share)
        with self._lock:
            self._connections.add(connection)
            if self._lost is not None:
                connection.note(False, self._lost)
        return connection

    def close(self) -> None:
        """End the connection; requests of all streams fail."""
        self._network.close()

    def _note(self, there: bool, detail: str) -> None:
        with self._lock:
            self._lost = None if there else detail
            for connection in self._connections:
                connection.note(there, detail)


class _StreamConnection:
    """A connection as one stream has it: no stream takes the others' room."""

    def __init__(self, network: HeadNetwork, in_flight: int) -> None:
        self._network = network
        self._in_flight = in_flight
        self._room = threading.BoundedSemaphore(in_flight)

    @property
    def state(self) -> BreakerState:
        """Whether requests go out to the server."""
        return self._network.state

    @property
    def wants_probe(self) -> bool:
        """Whether a request would find out if the server is back."""
        return self._network.wants_probe

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Send a request; see :meth:`ServerNetwork.start`."""
        if not self._room.acquire(blocking=False):
            raise ServerError(
                f"{self._in_flight} requests of this stream are under way already.",
                ServerFault.OVERLOADED,
            )
        try:
            future = self._network.start(feeds)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    def close(self) -> None:
        """The connection belongs to all streams."""
