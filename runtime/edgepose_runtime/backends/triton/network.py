"""A model on a server as a network, with deadlines, retries and a circuit breaker."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future

from edgepose_runtime.backends.base import Network, specs_by_name
from edgepose_runtime.backends.triton.address import ServerAddress
from edgepose_runtime.backends.triton.answers import check_answer
from edgepose_runtime.backends.triton.breaker import BreakerState, CircuitBreaker
from edgepose_runtime.backends.triton.client import ServerClient
from edgepose_runtime.backends.triton.matching import Expected, ServedModel, find_model
from edgepose_runtime.backends.triton.settings import BackoffSettings, ServerSettings
from edgepose_runtime.backoff import Backoff
from edgepose_runtime.errors import ClosedError, ServerError, ServerFault
from edgepose_runtime.tensors import Array, TensorSpec, check_feeds

logger = logging.getLogger("edgepose")

#: Faults of a server that may be better in a moment.
_WORTH_RETRYING = (ServerFault.UNREACHABLE, ServerFault.OVERLOADED)
#: What :meth:`ServerNetwork.close` waits for requests that are under way, in seconds.
_CLOSE_S = 2.0

#: Told whether the server is there, and a sentence for people.
Listener = Callable[[bool, str], None]


class ServerNetwork(Network):
    """A model on a server. Any thread may call; see :class:`~edgepose_runtime.backends.Network`.

    The model is looked for and checked before the first request, after every failure, and now and
    then: a server may be started again with another one.

    Args:
        address: where the server is.
        expected: what its model must be like.
        settings: deadlines and recovery.
        batch: fix the number of samples.
        listener: told when the server is given up, and when it is back; on any thread.
        clock: seconds that only go forward.
    """

    def __init__(
        self,
        address: ServerAddress,
        expected: Expected,
        settings: ServerSettings,
        *,
        batch: int | None = None,
        listener: Listener | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = ServerClient(address, settings)
        self._expected = expected
        self._settings = settings
        self._batch = batch
        self._listener = listener
        self._clock = clock
        self._breaker = CircuitBreaker(settings, clock)
        self._closed = threading.Event()
        self._room = threading.BoundedSemaphore(settings.in_flight)
        self._threads: set[threading.Thread] = set()
        self._model: ServedModel | None = None
        self._checked = -float("inf")
        self._version: str | None = None
        self.inputs: Mapping[str, TensorSpec] = specs_by_name(expected.inputs or (), batch)
        self.outputs: Mapping[str, TensorSpec] = specs_by_name(expected.outputs or (), batch)
        self.device = str(address)
        self.precision = "float32"

    @property
    def state(self) -> BreakerState:
        """Whether requests go out to the server."""
        return self._breaker.state

    @property
    def wants_probe(self) -> bool:
        """Whether a request would find out if the server is back."""
        return self._breaker.wants_probe

    def connect(self) -> None:
        """Find the model now, rather than with the first request.

        Raises:
            ServerError: the server is not there, or has another model.
            ClosedError: the network was closed.
        """
        self._require_open()
        self._verified(self._clock() + self._settings.deadline_s)

    def infer(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run the model once and wait for the answer; see :meth:`Network.infer`.

        Raises:
            ServerError: no answer that can be used came before the deadline.
        """
        self._require_open()
        if self.inputs:
            check_feeds(self.inputs, feeds)
        if not self._breaker.admit():
            raise ServerError(
                f"{self.device} failed {self._settings.failures} times in a row; its circuit "
                "breaker stays open for a while.",
                ServerFault.CIRCUIT_OPEN,
            )
        try:
            answer = self._answer(feeds, self._clock() + self._settings.deadline_s)
        except ServerError as error:
            self._failed(error)
            raise
        except BaseException:
            self._breaker.withdrawn()
            raise
        self._succeeded()
        return answer

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Send a request and return at once; the future is resolved on a thread of its own.

        Raises:
            ServerError: too many requests are under way.
            ClosedError: the network was closed.
        """
        self._require_open()
        if not self._room.acquire(blocking=False):
            raise ServerError(
                f"{self._settings.in_flight} requests to {self.device} are under way already.",
                ServerFault.OVERLOADED,
            )
        future: Future[dict[str, Array]] = Future()
        thread = threading.Thread(
            target=self._resolve, args=(future, dict(feeds)), name="edgepose-server", daemon=True
        )
        try:
            thread.start()
        except RuntimeError as error:
            self._room.release()
            raise ServerError(
                f"No thread can be started for a request: {error}.", ServerFault.OVERLOADED
            ) from error
        return future

    def close(self) -> None:
        """End requests that are under way; see :meth:`Network.close`."""
        self._closed.set()
        self._client.close()
        deadline = time.monotonic() + _CLOSE_S
        for thread in tuple(self._threads):
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _resolve(self, future: Future[dict[str, Array]], feeds: Mapping[str, Array]) -> None:
        self._threads.add(threading.current_thread())
        try:
            answer = self.infer(feeds)
        except Exception as error:  # noqa: BLE001 - the thread's edge: whoever waits is told
            self._room.release()
            future.set_exception(error)
        else:
            self._room.release()
            future.set_result(answer)
        finally:
            self._threads.discard(threading.current_thread())

    def _answer(self, feeds: Mapping[str, Array], deadline: float) -> dict[str, Array]:
        """Try until there is an answer, a fault that stays, or no time."""
        waits = Backoff(
            BackoffSettings(
                self._settings.first_delay_s,
                self._settings.longest_delay_s,
                self._settings.retries,
            )
        )
        while True:
            try:
                return self._attempt(feeds, deadline)
            except ServerError as error:
                self._model = None  # the next server there may be another one
                delay = waits.next_delay_s() if error.fault in _WORTH_RETRYING else None
                if delay is None or self._clock() + delay >= deadline:
                    raise
            if self._closed.wait(delay):
                self._require_open()

    def _attempt(self, feeds: Mapping[str, Array], deadline: float) -> dict[str, Array]:
        model = self._verified(deadline)
        check_feeds(self.inputs, feeds)
        answer, version = self._client.infer(model.name, feeds, deadline - self._clock())
        if version != self._version and self._version is not None:
            self._model, self._version = None, None  # replaced while we were asking
            self._verified(deadline)
        self._version = version
        check_answer(self.outputs, answer, len(next(iter(feeds.values()))))
        return {name: answer[name] for name in self.outputs}

    def _verified(self, deadline: float) -> ServedModel:
        """Return the server's model, looking at it again if that is due."""
        model = self._model
        now = self._clock()
        if model is None or now - self._checked >= self._settings.verify_every_s:
            model = find_model(self._client, self._expected, deadline - now)
            self.inputs = specs_by_name(model.inputs, self._batch)
            self.outputs = specs_by_name(model.outputs, self._batch)
            self._model, self._checked = model, now
        return model

    def _succeeded(self) -> None:
        if self._breaker.succeeded():
            self._tell(True, f"{self.device} answers again.")

    def _failed(self, error: ServerError) -> None:
        if self._closed.is_set():
            self._breaker.withdrawn()
            return
        if error.fault is ServerFault.TIMEOUT:
            self._client.reconnect()
        if self._breaker.failed():
            self._tell(False, str(error))

    def _tell(self, there: bool, detail: str) -> None:
        logger.log(logging.INFO if there else logging.WARNING, "%s", detail)
        if self._listener is not None:
            self._listener(there, detail)

    def _require_open(self) -> None:
        if self._closed.is_set():
            raise ClosedError("The network was closed and cannot infer any more.")
