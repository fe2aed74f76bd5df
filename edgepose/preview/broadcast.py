"""Events and pictures from the trackers' threads to viewers. All but two methods: loop only."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from edgepose.results import PoseResult

logger = logging.getLogger("edgepose")

#: Messages that wait for one viewer, or for the loop; a viewer that lets more wait is dropped.
QUEUED_MESSAGES = 256
#: How often what was handed over is encoded and sent.
ENCODE_EVERY_S = 0.025
_END = b""


class EventBroadcast:
    """Server-sent events for any number of subscribers.

    While there are subscribers, the loop looks for what was handed over many times a second. If it
    were woken for each result, it would take the interpreter's lock from the tracker.
    """

    def __init__(self) -> None:
        self._subscribers: dict[asyncio.Queue[bytes], bool] = {}
        self._handed_over: deque[tuple[str, PoseResult | dict[str, Any]]] = deque(
            maxlen=QUEUED_MESSAGES
        )
        self._encoding: asyncio.Task[None] | None = None

    def put_result(self, source: str, result: PoseResult) -> None:
        """Hand over a result for those who want results; any thread may call."""
        if any(list(self._subscribers.values())):
            self._handed_over.append((source, result))

    def put_event(self, event: dict[str, Any]) -> None:
        """Hand over an event for everybody; any thread may call."""
        if self._subscribers:
            self._handed_over.append(("", event))

    def publish(self, message: bytes, *, is_result: bool = False) -> None:
        """Send an encoded event to everybody, or to those who want results."""
        for queue, wants_results in list(self._subscribers.items()):
            if wants_results or not is_result:
                self._put(queue, message)

    async def messages(self, *, results: bool, first: bytes) -> AsyncGenerator[bytes, None]:
        """Yield the messages for a new subscriber, until it is dropped.

        Args:
            results: whether it wants each result.
            first: its first message.
        """
        queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUED_MESSAGES + 1)
        self._subscribers[queue] = results
        self._encoding = self._encoding or asyncio.create_task(self._encode_regularly())
        try:
            yield first
            while (message := await queue.get()) != _END:
                yield message
        finally:
            self._subscribers.pop(queue, None)

    async def _encode_regularly(self) -> None:
        while self._subscribers:
            try:
                self._encode_handed_over()
            except Exception:  # one result must not end the others
                logger.exception("The preview failed to send a result.")
            await asyncio.sleep(ENCODE_EVERY_S)
        self._handed_over.clear()
        self._encoding = None

    def _encode_handed_over(self) -> None:
        while self._handed_over:
            source, item = self._handed_over.popleft()
            if isinstance(item, PoseResult):
                record = {"source": source, **item.to_dict(several=True)}
                self.publish(encode_event("result", record), is_result=True)
            else:
                self.publish(encode_event("event", item))

    def _put(self, queue: asyncio.Queue[bytes], message: bytes) -> None:
        if queue.qsize() < QUEUED_MESSAGES:
            queue.put_nowait(message)
            return
        self._subscribers.pop(queue, None)
        while not queue.empty():
            queue.get_nowait()
        queue.put_nowait(_END)


class PictureBroadcast:
    """The newest picture of each source, for viewers that wait for it."""

    def __init__(self) -> None:
        self._newest: dict[str, tuple[int, bytes]] = {}
        self._arrived: dict[str, asyncio.Event] = {}

    def publish(self, source: str, jpeg: bytes) -> None:
        """Hand a picture to all who wait for the next one of this source."""
        self._newest[source] = (self.number(source) + 1, jpeg)
        self._arrived.pop(source, asyncio.Event()).set()

    def forget(self, source: str) -> None:
        """Let go of the picture of a source that nobody looks at."""
        self._newest.pop(source, None)

    def number(self, source: str) -> int:
        """Return the number of the newest picture, 0 if there is none."""
        return self._newest.get(source, (0, b""))[0]

    async def next(self, source: str, after: int) -> tuple[int, bytes]:
        """Wait for a picture with a higher number; return number and JPEG of the newest one."""
        while self.number(source) <= after:
            await self._arrived.setdefault(source, asyncio.Event()).wait()
        return self._newest[source]


def encode_event(kind: str, data: Mapping[str, Any]) -> bytes:
    """Return a server-sent event with JSON data."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return f"event: {kind}\ndata: {text}\n\n".encode()
