"""One stream on threads of its own: the basis of a tracker's ``submit()`` and ``stream()``."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace

from edgepose.results import PoseResult, StreamEnd, TrackingFailure
from edgepose.stats import StatsRecorder
from edgepose.streaming.callbacks import Callbacks, Dispatcher
from edgepose.streaming.flow_control import FlowPolicy
from edgepose.streaming.pipeline import Pipeline
from edgepose.streaming.source_reader import SourceReader
from edgepose.streaming.stream_queue import StreamQueue
from edgepose.tracking.frame import Image
from edgepose.tracking.strategies import FrameStep
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.geometry.roi import RoiLike


class Session:
    """A queue of frames, the threads that process it, and the callbacks that get the results.

    Any thread may call. The threads start with the first frame.

    Args:
        step: tracks a frame.
        policy: the flow policy.
        recorder: counts.
        callbacks: the user's functions.
        on_failure: see :class:`Pipeline`.
        keep_images: see :class:`StreamQueue`.
    """

    def __init__(
        self,
        step: FrameStep,
        policy: FlowPolicy,
        recorder: StatsRecorder,
        callbacks: Callbacks,
        *,
        on_failure: Callable[[], None] | None = None,
        keep_images: bool = False,
    ) -> None:
        self._step = step
        self._dispatcher = Dispatcher(callbacks)
        self.pipeline = Pipeline(self._dispatcher.deliver, on_failure=on_failure)
        self.scheduler = self.pipeline.scheduler
        self.queue = StreamQueue(step, policy, recorder, keep_images=keep_images)
        self.scheduler.add(self.queue)

    def submit(
        self, image: Image, timestamp_ms: float | None, roi: RoiLike | None, called: float
    ) -> int:
        """Submit a frame; see :meth:`StreamScheduler.submit`."""
        self.pipeline.start()
        return self.scheduler.submit(self.queue, image, timestamp_ms, roi, called)

    def reset(self, recorder: StatsRecorder) -> None:
        """Forget the person, the frames and the time; count with ``recorder`` from now on."""
        self.scheduler.reset(self.queue, recorder, self._forget)

    def close(
        self, timeout: float, *, drain: bool = True, release: Callable[[], None] | None = None
    ) -> None:
        """End the threads; see :meth:`Pipeline.close`."""
        self.pipeline.close(timeout, drain=drain, release=release)

    def take_unhandled(self) -> Exception | None:
        """Return the error that was not handled, once."""
        return self.scheduler.lifecycle.take_error() or self._dispatcher.take_unhandled()

    def _forget(self) -> None:
        self._step.reset()


class ResultIterator:
    """Holds one result until it is taken, so that a slow consumer acts like a slow callback.

    The dispatch thread puts, one thread iterates, any thread may close or forget.

    Args:
        is_outdated: whether what is being handed over is from before a reset.
    """

    def __init__(self, is_outdated: Callable[[], bool] = lambda: False) -> None:
        self._is_outdated = is_outdated
        self._changed = threading.Condition()
        self._item: PoseResult | TrackingFailure | StreamEnd | None = None
        self._image: Image | None = None
        self._closed = False

    def put(
        self, item: PoseResult | TrackingFailure | StreamEnd, image: Image | None = None
    ) -> None:
        """Hand something over, with a result's image; returns when there is room for the next."""
        with self._changed:
            self._changed.wait_for(lambda: self._item is None or self._closed)
            if isinstance(item, PoseResult) and self._is_outdated():
                return
            self._item, self._image = item, image
            self._changed.notify_all()

    def forget_result(self) -> None:
        """Drop a result that was not taken."""
        with self._changed:
            if isinstance(self._item, PoseResult):
                self._item = self._image = None
                self._changed.notify_all()

    def close(self) -> None:
        """Wake waiting threads: nothing more will be handed over or taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __iter__(self) -> Iterator[tuple[Image | None, PoseResult]]:
        """Take results with their images until the end.

        Raises:
            Exception: the error with which a frame or the source ended.
        """
        while (taken := self._take()) is not None:
            image, item = taken
            if isinstance(item, PoseResult):
                yield image, item
            elif item.error is not None:
                raise item.error
            else:
                return

    def _take(self) -> tuple[Image | None, PoseResult | TrackingFailure | StreamEnd] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._item is not None or self._closed)
            item, image = self._item, self._image
            self._item = self._image = None
            self._changed.notify_all()
            return None if item is None else (image, item)


class SourceSession(Session):
    """A session that a source feeds, and whose results are iterated over.

    Args:
        source: read, and closed at the end.
        step: tracks a frame.
        policy: the flow policy.
        recorder: counts.
        callbacks: without ``on_result``; without ``on_error`` an error ends the iteration.
        with_frames: the image of each result is kept until the result is taken.
    """

    def __init__(
        self,
        source: FrameSource,
        step: FrameStep,
        policy: FlowPolicy,
        recorder: StatsRecorder,
        callbacks: Callbacks,
        *,
        with_frames: bool = False,
    ) -> None:
        self._iterator = ResultIterator(lambda: self.scheduler.delivers_outdated)
        own = replace(
            callbacks,
            on_result=self._put_result,
            on_error=callbacks.on_error or self._iterator.put,
            on_end=self._iterator.put,
        )
        super().__init__(
            step, policy, recorder, own, on_failure=self._iterator.close, keep_images=with_frames
        )
        self._reader = SourceReader(source, self.queue, self.scheduler)

    def results(self) -> Iterator[tuple[Image | None, PoseResult]]:
        """Start, and take the results until the source ends, with their images if those are kept.

        Raises:
            SourceError: with which the source ended.
            EdgePoseError: with which a frame ended, if there is no ``on_error``.
            ClosedError: the process was forked in the loop, and this is the child.
        """
        self.pipeline.start()
        self._reader.start()
        for taken in self._iterator:
            yield taken
            # Before the next one: in the child of a fork it would be waited for for ever.
            self.scheduler.lifecycle.require_own_process()
        error = self.take_unhandled()
        if error is not None:
            raise error

    def close(
        self,
        timeout: float,
        *,
        drain: bool = True,  # noqa: ARG002 - nobody takes the results
        release: Callable[[], None] | None = None,
    ) -> None:
        """End the iteration, the source and the threads; what has no result is dropped."""
        if not self.pipeline.is_of_this_process:
            return
        self.scheduler.retire(self.queue)  # first: nobody takes what would still be delivered
        self._iterator.close()
        super().close(timeout, drain=False, release=release)
        self._reader.stop()

    def _put_result(self, result: PoseResult) -> None:
        self._iterator.put(result, self.queue.take_image(result))

    def _forget(self) -> None:
        super()._forget()
        self._iterator.forget_result()
