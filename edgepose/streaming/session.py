"""One stream on threads of its own: what ``submit()`` and ``stream()`` of a tracker stand on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.callbacks import Callbacks, Dispatcher
from edgepose.streaming.flow_control import make_policy
from edgepose.streaming.pipeline import Pipeline
from edgepose.streaming.result_iterator import Handoff
from edgepose.streaming.source_reader import SourceReader, policy_for
from edgepose.streaming.stream_queue import Lane
from edgepose.tracking.step import FrameWork
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.events import StreamEvent


class Session:
    """A lane, the threads that work on it, and the callbacks that are told.

    Any thread may call. The threads start with the first frame.

    Args:
        work: tracks a frame.
        policy: name of the flow policy.
        recorder: counts.
        callbacks: the user's functions.
        on_failure: see :class:`Pipeline`.
    """

    def __init__(
        self,
        work: FrameWork,
        policy: str,
        recorder: StatsRecorder,
        callbacks: Callbacks,
        on_failure: Callable[[], None] | None = None,
    ) -> None:
        self._work = work
        self._dispatcher = Dispatcher(callbacks)
        self.pipeline = Pipeline(self._dispatcher.deliver, on_failure=on_failure)
        flow = make_policy(policy)
        work.waiting_counts = flow.drops
        self.lane = Lane(work, flow, recorder)
        self.pipeline.add(self.lane)
        work.tell = self._add_event

    def submit(
        self,
        image: NDArray[np.uint8],
        timestamp_ms: float | None,
        roi: object = None,
        called: float | None = None,
    ) -> int:
        """Hand over a frame; see :meth:`Pipeline.submit`."""
        self.pipeline.start()
        return self.pipeline.submit(self.lane, image, timestamp_ms, roi, called)

    def reset(self, recorder: StatsRecorder) -> None:
        """Forget the person, the frames and the time; count with ``recorder`` from now on."""
        self.pipeline.reset(self.lane, recorder, self._forget)

    def close(
        self, timeout: float, *, drain: bool = True, release: Callable[[], None] | None = None
    ) -> None:
        """End the threads; see :meth:`Pipeline.close`."""
        self.pipeline.close(timeout, drain=drain, release=release)

    def take_unhandled(self) -> Exception | None:
        """Return the error that nobody dealt with, once."""
        return self.pipeline.take_error() or self._dispatcher.take_unhandled()

    def _forget(self) -> None:
        self._work.reset()

    def _add_event(self, event: StreamEvent) -> None:
        self.pipeline.add_event(self.lane, event)


class SourceSession(Session):
    """A session that a source feeds, and whose results are iterated over.

    Args:
        source: read, and closed at the end.
        work: tracks a frame.
        policy: name of the flow policy, ``None`` for what suits the source.
        recorder: counts.
        callbacks: without ``on_result``; without ``on_error`` an error ends the iteration.
    """

    def __init__(
        self,
        source: FrameSource,
        work: FrameWork,
        policy: str | None,
        recorder: StatsRecorder,
        callbacks: Callbacks,
    ) -> None:
        self._handoff = Handoff(lambda: self.pipeline.tells_outdated)
        told = replace(
            callbacks,
            on_result=self._handoff.put,
            on_error=callbacks.on_error or self._handoff.put,
            on_end=self._handoff.put,
        )
        super().__init__(
            work, policy_for(source, policy), recorder, told, on_failure=self._handoff.close
        )
        self._reader = SourceReader(source, self.lane, self.pipeline)

    def results(self) -> Iterator[PoseResult]:
        """Start, and take the results until the source ends.

        Raises:
            SourceError: with which the source ended.
            EdgePoseError: with which a frame ended, if there is no ``on_error``.
        """
        self.pipeline.start()
        self._reader.start()
        yield from self._handoff
        error = self.take_unhandled()
        if error is not None:
            raise error

    def close(
        self,
        timeout: float,
        *,
        drain: bool = True,  # noqa: ARG002 - nobody takes what would be worked off
        release: Callable[[], None] | None = None,
    ) -> None:
        """End the iteration, the source and the threads; what has no result is dropped."""
        if self.pipeline.is_of_this_process:
            self.pipeline.retire(self.lane)  # first: nobody takes what would still be handed over
        self._handoff.close()
        super().close(timeout, drain=False, release=release)
        self._reader.stop()

    def _forget(self) -> None:
        super()._forget()
        self._handoff.forget_result()
