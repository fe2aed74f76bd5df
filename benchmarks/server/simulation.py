"""A server in virtual time: its answers are late, and some are lost, always the same ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future

from edgepose_runtime.backends.triton import BreakerState
from edgepose_runtime.errors import ServerError, ServerFault
from edgepose_runtime.tensors import Array

#: When the sender of a lost request gives up, in ms.
DEADLINE_MS = 1000.0


class SimulatedServer:
    """Answers in the virtual time that the sweep sets. For one thread.

    Args:
        head: what it runs: a crop to heat-maps.
        delay_ms: from request to answer.
        lost: which requests get none, in order; those after the last get one.
    """

    state = BreakerState.CLOSED
    wants_probe = False

    def __init__(
        self, head: Callable[[Array], Array], delay_ms: float, lost: Sequence[bool]
    ) -> None:
        self._head = head
        self._delay = delay_ms
        self._lost = iter(lost)
        self._now = 0.0
        self._waiting: list[tuple[float, Future[dict[str, Array]], Array | None]] = []

    def start(self, feeds: Mapping[str, Array]) -> Future[dict[str, Array]]:
        """Take a request in."""
        future: Future[dict[str, Array]] = Future()
        if next(self._lost, False):
            self._waiting.append((self._now + DEADLINE_MS, future, None))
        else:
            self._waiting.append((self._now + self._delay, future, feeds["image"][0].copy()))
        return future

    def advance(self, now_ms: float) -> None:
        """Let time go by: give the answers that are due, on this thread."""
        self._now = now_ms
        due = [each for each in self._waiting if each[0] <= now_ms]
        self._waiting = [each for each in self._waiting if each[0] > now_ms]
        for _, future, crop in due:
            if crop is None:
                future.set_exception(ServerError("The request was lost.", ServerFault.TIMEOUT))
            else:
                future.set_result({"heatmaps": self._head(crop)[None]})

    def close(self) -> None:
        """Forget all requests."""
        self._waiting.clear()
