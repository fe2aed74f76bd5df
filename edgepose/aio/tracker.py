"""AsyncPoseTracker: a frame goes in, a pose is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields
from types import TracebackType
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from edgepose.options import EngineOptions
from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose.stats import TrackerStats
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ClosedError, ConfigError
from edgepose_runtime.geometry.image_types import FrameLike
from edgepose_runtime.geometry.roi import RoiLike

Self = TypeVar("Self", bound="AsyncPoseTracker")
T = TypeVar("T")

_OWN = ("on_result", "on_drop", "on_error")
_ENGINE = ("model", *(field.name for field in fields(EngineOptions)))
_END: Any = object()
Outcome = PoseResult | FrameDrop | Exception


class AsyncPoseTracker:
    """A :class:`PoseTracker` whose results are awaited; the event loop is never blocked.

    ::

        async with AsyncPoseTracker("ppn-swift") as tracker:
            async for result in tracker.stream("rtsp://camera/1"):
                ...
            result = await tracker.submit(frame)

    Loading takes up to seconds and happens in ``async with``. For one event loop; its tasks may
    submit side by side.

    Args:
        options: arguments of :class:`PoseTracker`, but for ``on_result``, ``on_drop`` and
            ``on_error``: what they get is returned or raised.

    Raises:
        ConfigError: one of these was given.
    """

    def __init__(self, *model: Any, **options: Any) -> None:
        if given := [name for name in _OWN if options.get(name) is not None]:
            raise ConfigError(
                f"AsyncPoseTracker has no {', '.join(given)}: results are awaited, errors raised."
            )
        self._model, self._options = model, options
        self._tracker: PoseTracker | None = None
        self._submitting: PoseTracker | None = None
        self._waiting: dict[int, asyncio.Future[PoseResult | FrameDrop]] = {}
        self._early: dict[int, Outcome] = {}  # what came before its frame's submit() returned
        self._order = asyncio.Lock()

    async def __aenter__(self: Self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._tracker = await asyncio.to_thread(self._make)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def warmup(self) -> None:
        """Run every network and kernel once; see :meth:`PoseTracker.warmup`."""
        await asyncio.to_thread(self._opened().warmup)

    async def submit(
        self,
        frame: FrameLike,
        timestamp_ms: float | None = None,
        *,
        roi: RoiLike | None = None,
    ) -> PoseResult | FrameDrop:
        """Track the next frame; see :meth:`PoseTracker.submit`.

        Tasks that submit side by side are served in the order of their calls.

        Returns:
            The pose; or a :class:`FrameDrop`, with the policy ``"latest"``.

        Raises:
            EdgePoseError: the frame was refused, or tracking it failed.
            ClosedError: the tracker was closed, or not opened by ``async with``.
        """
        self._opened()
        async with self._order:
            tracker = await self._submitter()
            number = await asyncio.to_thread(tracker.submit, frame, timestamp_ms, roi=roi)
            future: asyncio.Future[PoseResult | FrameDrop] = self._loop.create_future()
            self._waiting[number] = future
            early, self._early = self._early, {}
        if number in early:
            self._end(number, early[number])
        return await future

    @overload
    def stream(
        self, source: Any, *, with_frames: Literal[False] = ...
    ) -> AsyncIterator[PoseResult]: ...

    @overload
    def stream(
        self, source: Any, *, with_frames: Literal[True]
    ) -> AsyncIterator[tuple[NDArray[np.uint8], PoseResult]]: ...

    async def stream(self, source: Any, *, with_frames: bool = False) -> AsyncIterator[Any]:
        """Track a source from its beginning; see :meth:`PoseTracker.stream`.

        Leaving the loop, or cancelling its task, closes the source.
        """
        tracker = self._opened()
        color = self._options.get("color", "bgr")
        opened = await asyncio.to_thread(open_source, source, color=color)
        results: Iterator[Any] = (
            tracker.stream(opened, with_frames=True) if with_frames else tracker.stream(opened)
        )
        # One thread, as the results' generator belongs to one at a time.
        thread = ThreadPoolExecutor(1, "edgepose-async")
        try:
            while True:
                item = await self._loop.run_in_executor(thread, next, results, _END)
                if item is _END:
                    return
                yield item
        finally:
            opened.stop()  # ends a wait for the next frame
            await asyncio.shield(self._loop.run_in_executor(thread, _close, results))
            thread.shutdown(wait=False)

    @property
    def stats(self) -> TrackerStats:
        """What :meth:`submit` did, else :meth:`stream`; see :class:`TrackerStats`."""
        return (self._submitting or self._opened()).stats

    async def close(self) -> None:
        """Close the tracker; frames that are waited for end with a :class:`ClosedError`."""
        trackers = [each for each in (self._submitting, self._tracker) if each is not None]
        self._submitting = self._tracker = None
        for tracker in trackers:
            await asyncio.to_thread(tracker.close)
        await asyncio.sleep(0)  # what the callbacks scheduled comes first
        for number in list(self._waiting):
            self._end(number, ClosedError("The tracker was closed before the frame was tracked."))

    def _make(self) -> PoseTracker:
        return PoseTracker(*self._model, **self._options)

    def _opened(self) -> PoseTracker:
        if self._tracker is None:
            raise ClosedError("The tracker is not open; use it within 'async with'.")
        return self._tracker

    async def _submitter(self) -> PoseTracker:
        """Return the tracker with callbacks, on the same networks; a stream has none."""
        if self._submitting is None:
            self._submitting = await asyncio.to_thread(self._calling_back, self._opened())
        return self._submitting

    def _calling_back(self, tracker: PoseTracker) -> PoseTracker:
        return PoseTracker(
            tracker.model,
            **{name: value for name, value in self._options.items() if name not in _ENGINE},
            on_result=self._in_loop(lambda result: self._end(result.frame_id, result)),
            on_drop=self._in_loop(lambda drop: self._end(drop.frame_id, drop)),
            on_error=self._in_loop(self._failed),
        )

    def _in_loop(self, function: Callable[[T], None]) -> Callable[[T], None]:
        def call(item: T) -> None:
            self._loop.call_soon_threadsafe(function, item)

        return call

    def _failed(self, failure: TrackingFailure) -> None:
        if failure.frame_id is not None:
            self._end(failure.frame_id, failure.error)

    def _end(self, number: int, outcome: Outcome) -> None:
        future = self._waiting.pop(number, None)
        if future is None:
            self._early[number] = outcome
        elif future.done():
            return
        elif isinstance(outcome, Exception):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


def _close(results: Iterator[Any]) -> None:
    close = getattr(results, "close", None)
    if close is not None:
        close()
