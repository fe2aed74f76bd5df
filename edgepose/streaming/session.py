"""One stream on threads of its own: the basis of a tracker's ``submit()`` and ``stream()``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.callbacks import Callbacks, Dispatcher
from edgepose.streaming.flow_control import FlowPolicy
from edgepose.streaming.pipeline import Pipeline
from edgepose.streaming.result_iterator import ResultIterator
from edgepose.streaming.source_reader import SourceReader
from edgepose.streaming.stream_queue import StreamQueue
from edgepose.tracking.frame import Image
from edgepose.tracking.step import TrackingStep
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
        step: TrackingStep,
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
        step: TrackingStep,
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
        """
        self.pipeline.start()
        self._reader.start()
        yield from self._iterator
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
        if self.pipeline.is_of_this_process:
            self.scheduler.retire(self.queue)  # first: nobody takes what would still be delivered
        self._iterator.close()
        super().close(timeout, drain=False, release=release)
        self._reader.stop()

    def _put_result(self, result: PoseResult) -> None:
        self._iterator.put(result, self.queue.take_image(result))

    def _forget(self) -> None:
        super()._forget()
        self._iterator.forget_result()
