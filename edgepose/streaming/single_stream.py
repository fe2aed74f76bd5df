"""The one stream of a tracker: its frames, its threads while it has some, and its end."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder, TrackerStats
from edgepose.streaming.callbacks import Callbacks
from edgepose.streaming.flow_control import FlowPolicy, make_policy
from edgepose.streaming.session import Session, SourceSession
from edgepose.streaming.shutdown import DROP_TIMEOUT_S, ManagedResource, close_at_exit
from edgepose.streaming.source_reader import policy_for
from edgepose.tracking.frame import Frame, FrameSequence, Image
from edgepose.tracking.strategies import FrameStep
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.errors import ClosedError, ConfigError, EdgePoseError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.crop import as_bgr
from edgepose_runtime.geometry.image_types import ColorOrder
from edgepose_runtime.geometry.roi import RoiLike


class SingleStream(ManagedResource):
    """What a tracker does with frames, behind its public methods. Any thread may call.

    Args:
        new_step: makes the step of a new stream whose frames wait in a queue of this policy, or,
            with ``None``, do not wait.
        policy: name of the flow policy; ``None`` for what suits the source of frames.
        callbacks: the user's functions; with ``on_result``, frames are submitted.
        release: releases the networks; called once, when no thread tracks any more.
        color: order of the colours in arrays.
    """

    def __init__(
        self,
        new_step: Callable[[FlowPolicy | None], FrameStep],
        policy: str | None,
        callbacks: Callbacks,
        *,
        release: Callable[[], None],
        color: ColorOrder = "bgr",
    ) -> None:
        self.closed = False
        self._new_step = new_step
        self._policy = policy
        self._callbacks = callbacks
        self._release = release
        self._color = color
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._recorder = StatsRecorder()
        self._session: Session | None = None
        self._unhandled: Exception | None = None  # by a stream whose loop was left
        flow = None if callbacks.on_result is None else make_policy(policy or "every-frame")
        self._restart(flow)
        if flow is not None:
            self._adopt(Session(self._step, flow, self._recorder, callbacks))

    @property
    def is_of_this_process(self) -> bool:
        """Whether this is not the child of a fork, where the lock may be held for ever."""
        return os.getpid() == self._process

    def stats(self) -> TrackerStats:
        """Return the counts and latencies."""
        self._require_own_process()
        return self._recorder.snapshot()

    def track(self, frame: Any, timestamp_ms: float | None, roi: RoiLike | None) -> PoseResult:
        """Track a frame; see :meth:`edgepose.PoseTracker.track`."""
        called = time.monotonic()
        self.require_open()  # before: in the child of a fork the lock may be held for ever
        with self._lock:
            self._require_trackable()
            taken: Frame | None = None
            try:
                taken = self._sequence.create(as_bgr(frame, self._color), timestamp_ms, roi, called)
                result, events = self._step.track(taken)
            except BaseException:  # Ctrl-C, too: each frame ends somehow
                self._sequence.undo(taken)
                self._recorder.add_failed_frame()
                raise
            self._recorder.add_tracked_frame(result)
        if events:
            self._report(events)  # without the lock: the callback may call any method
        return result

    def submit(self, frame: Any, timestamp_ms: float | None, roi: RoiLike | None) -> int:
        """Submit a frame; see :meth:`edgepose.PoseTracker.submit`."""
        called = time.monotonic()
        session = self._submitting("submit() needs on_result=, a function that gets the results.")
        return session.submit(self._own_image(frame), timestamp_ms, roi, called)

    def flush(self, timeout: float | None) -> bool:
        """Wait until each frame has ended; see :meth:`edgepose.PoseTracker.flush`."""
        session = self._submitting("flush() waits for submitted frames, which need on_result=.")
        return session.scheduler.flush(timeout)

    def results(
        self, source: FrameSource, *, with_frames: bool
    ) -> Iterator[tuple[Image | None, PoseResult]]:
        """Track a source, and return its results, with their images if asked for."""
        with source:
            session = self._open_session(source, with_frames=with_frames)
            try:
                yield from session.results()
            finally:
                if self.is_of_this_process:  # locks of a parent process may be held for ever
                    self._end_session(session)

    def _end_session(self, session: Session) -> None:
        session.close(DROP_TIMEOUT_S)
        self._finalizer.detach()
        with self._lock:
            self._unhandled = self._take_unhandled(session)
            self._session = None
            if not self.closed:  # the networks may be gone
                self._restart()

    def warmup(self) -> None:
        """Run every network and kernel once."""
        self.require_open()
        with self._lock:
            self.require_open()
            self._step.warmup()
            self._recorder.warmed_up()

    def reset(self, also: Callable[[], None] | None = None) -> None:
        """Forget the person, the timestamps and the counts.

        Args:
            also: called with the lock held, to reset what belongs to the stream elsewhere.
        """
        self.require_open()
        with self._lock:
            self.require_open()
            recorder = StatsRecorder()
            if also is not None:
                also()
            if self._session is None:
                self._restart()
            else:
                self._session.reset(recorder)
            self._recorder = recorder

    def _close(self, timeout: float, *, drain: bool) -> Exception | None:
        """Close, and return the error that was not handled."""
        if not self.is_of_this_process:
            return None
        self.closed = True
        session = self._session
        # Waits for a frame being tracked, which needs the networks, and for a stream that begins.
        if session is None and self._lock.acquire(timeout=timeout):
            try:
                session = self._session
                if session is None:
                    self._release()
            finally:
                self._lock.release()
        if session is not None:
            session.close(timeout, drain=drain, release=self._release)
        return self._take_unhandled(session)

    def require_open(self) -> None:
        """Refuse after the end, and in the child of a fork.

        Raises:
            ClosedError: so it is.
        """
        self._require_own_process()
        self._require_not_closed()

    def _require_not_closed(self) -> None:
        if self.closed:
            raise ClosedError("The tracker was closed; make a new PoseTracker.")

    def _require_own_process(self) -> None:
        if not self.is_of_this_process:
            raise ClosedError(
                "The tracker was made in another process and does not survive a fork; make a new "
                "PoseTracker in this one."
            )

    def _require_trackable(self) -> None:
        self._require_not_closed()
        if self._session is not None:
            raise ConfigError(
                "track() cannot be mixed with on_result or stream(), which track on a thread "
                "of their own; use submit(), or another PoseTracker."
            )
        if self._step.lag_frames:
            raise ConfigError(
                f"track() returns the pose of the frame it is given, but this tracker returns "
                f"poses {self._step.lag_frames} frames later (lag_frames); use submit() "
                "or stream()."
            )

    def _submitting(self, refusal: str) -> Session:
        self.require_open()
        session = self._session
        if session is None or self._callbacks.on_result is None:
            raise ConfigError(refusal)
        return session

    def _own_image(self, frame: Any) -> Image:
        """Return a frame as BGR, in memory of its own."""
        try:
            image = as_bgr(frame, self._color)
        except EdgePoseError:
            self._recorder.add_failed_frame()
            raise
        shared = isinstance(frame, np.ndarray) and np.may_share_memory(image, frame)
        return image.copy() if shared else image

    def _report(self, events: list[StreamEvent]) -> None:
        for event in events:
            if self._callbacks.on_event is not None:
                self._callbacks.on_event(event)

    def _open_session(self, source: FrameSource, *, with_frames: bool) -> SourceSession:
        self.require_open()
        with self._lock:
            self.require_open()
            if self._session is not None:
                raise ConfigError("This tracker tracks a source already; make another one.")
            flow = make_policy(policy_for(source, self._policy))
            self._restart(flow)
            session = SourceSession(
                source, self._step, flow, self._recorder, self._callbacks, with_frames=with_frames
            )
            self._adopt(session)
            return session

    def _take_unhandled(self, session: Session | None) -> Exception | None:
        error, self._unhandled = self._unhandled, None
        return error or (None if session is None else session.take_unhandled())

    def _adopt(self, session: Session) -> None:
        self._session = session
        self._finalizer = close_at_exit(self, session.scheduler.lifecycle.abandon)

    def _restart(self, policy: FlowPolicy | None = None) -> None:
        # Not the old ones reset: a thread that does not return may hold them.
        self._step = self._new_step(policy)
        self._sequence = FrameSequence()
