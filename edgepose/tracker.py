"""PoseTracker: a frame goes in, a pose comes out."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.model import DEFAULT_MODEL, PoseModel, load
from edgepose.keyframes import KeyFrames
from edgepose.options import StreamOptions, engine_options
from edgepose.refinement.base import Refinement
from edgepose.regions import RoiLike
from edgepose.remote import HeadLink, RemoteHead, remote_head
from edgepose.results import PoseResult
from edgepose.stats import StatsRecorder, TrackerStats
from edgepose.streaming.callbacks import Callback, Callbacks
from edgepose.streaming.flow_control import PendingFrame
from edgepose.streaming.session import Session, SourceSession
from edgepose.streaming.shutdown import DROP_TIMEOUT_S, Closing, close_at_exit
from edgepose.tracking.timestamps import StreamTime
from edgepose_runtime.capture import FrameSource, open_source
from edgepose_runtime.errors import ClosedError, ConfigError, EdgePoseError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.crop import as_bgr
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.poses.smoothing import OneEuroSettings


class PoseTracker(Closing):
    """Tracks one person through one stream of frames.

    It finds the person in the whole frame, follows the pose from then on, notices when the person
    is lost, and looks again. Several trackers can share the networks of one :func:`edgepose.load`.

    Frames go in by one of three ways. :meth:`track` returns the pose. :meth:`submit` hands the
    frame over, and ``on_result`` gets the pose. :meth:`stream` reads a source and yields poses.

    Any method may be called from any thread. Callbacks are called one at a time, in the order of
    the frames, on one thread that does nothing else. What a callback raises goes to ``on_error``;
    an error that ``on_error`` does not deal with is raised by :meth:`close`.

    Args:
        model: name of a shipped bundle, path of a bundle, or a loaded model to share. A model
            that the tracker loads itself is closed with it; a shared one is not.
        backend: see :func:`edgepose.load`; like the next three, only for a model not loaded yet.
        device: where the networks run.
        precision: what they compute in.
        num_threads: CPU threads for each network.
        smoothing: whether joints are smoothed in time (One-Euro filter), or how.
        reinitialise_every: run the heavy head every N frames; 0: only at the start and after a
            loss; ``None``: what the bundle recommends.
        deadline_ms: from a frame's submission to its pose. When that is short a cheaper step is
            taken, and ``origin`` says so: the head is put off, or the pose is predicted.
        policy: what becomes of a frame that comes while others are in work: ``"every-frame"``
            makes ``submit()`` wait, ``"latest"`` drops all but the newest. ``None``: the former
            for ``submit()`` and files, the latter for live sources.
        head: address of a server with a heavy head, such as ``"grpc://host:8001"``, or a
            :class:`RemoteHead`. The tracker starts at once with the light network; what the head
            says late is carried through the frames since. It is asked at the start, after a loss,
            when joints are doubtful, and every ``reinitialise_every`` frames.
        head_local: what the model's own head is for then: ``"fallback"`` steps in while the server
            is away, ``"never"`` leaves it to the light network.
        key_frames: look at few frames only, and carry the pose through the others: ``"auto"`` or
            :class:`KeyFrames`, such as ``KeyFrames(max_key_rate=0.2)``; ``None``: look at all.
        refine: ``"thin-slicing"`` or :class:`ThinSlicing`: neighbouring frames have a say in each
            pose, which comes some frames later; see there. ``origin`` is then ``refined``.
        on_result: gets each :class:`PoseResult` of :meth:`submit`.
        on_drop: gets a :class:`FrameDrop` for each frame that was dropped.
        on_error: gets a :class:`TrackingFailure` for each error, and so deals with it.
        on_event: gets each :class:`StreamEvent` of a source, such as a lost camera, or of the
            remote head; with :meth:`track`, on the thread that calls it.

    Raises:
        ConfigError: an option has no such value, or contradicts another.
        BundleError: there is no such bundle, or it is damaged.
        BackendError: the backend or the device is not there.
    """

    def __init__(
        self,
        model: str | Path | PoseModel = DEFAULT_MODEL,
        *,
        backend: str | None = None,
        device: str | None = None,
        precision: str | None = None,
        num_threads: int | None = None,
        smoothing: bool | OneEuroSettings = True,
        reinitialise_every: int | None = None,
        deadline_ms: float | None = None,
        policy: str | None = None,
        head: str | RemoteHead | None = None,
        head_local: str = "fallback",
        key_frames: KeyFrames | str | None = None,
        refine: str | Refinement | None = None,
        on_result: Callback | None = None,
        on_drop: Callback | None = None,
        on_error: Callback | None = None,
        on_event: Callback | None = None,
    ) -> None:
        engine = engine_options(model, backend, device, precision, num_threads)
        remote = remote_head(head, head_local)
        self._options = StreamOptions(
            smoothing, reinitialise_every, deadline_ms, policy, key_frames, refine
        )
        self._callbacks = Callbacks(on_result, on_drop, on_error, on_event)
        self._owns_model = not isinstance(model, PoseModel)
        self._model = model if isinstance(model, PoseModel) else load(model, **engine)
        self._head = None if remote is None else self._link(remote, head_local)
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._recorder = StatsRecorder()
        self._session: Session | None = None
        self._unhandled: Exception | None = None  # by a stream whose loop was left
        self._start_afresh()
        if on_result is not None:
            self._adopt(
                Session(self._work, policy or "every-frame", self._recorder, self._callbacks)
            )
        self._closed = False

    @property
    def model(self) -> PoseModel:
        """The networks in use, with their name, skeleton and device."""
        return self._model

    @property
    def skeleton(self) -> Skeleton:
        """Names and order of the joints."""
        return self._model.skeleton

    @property
    def stats(self) -> TrackerStats:
        """What the tracker did since it was made or reset: counts, and latency by stage.

        Raises:
            ClosedError: this is the child of a fork.
        """
        self._require_own_process()
        stats = self._recorder.snapshot()
        return stats if self._head is None else replace(stats, head=self._head.stats)

    def track(
        self,
        frame: NDArray[np.uint8],
        *,
        roi: RoiLike | None = None,
        timestamp_ms: float | None = None,
    ) -> PoseResult:
        """Estimate the pose in the next frame.

        A frame that is refused with an error leaves no trace, other than in the count of errors:
        the next one is tracked as if it had not been there.

        Args:
            frame: uint8 BGR (H, W, 3); grey (H, W) and BGRA (H, W, 4) are taken too. Frames may
                change their size: the person is then looked for afresh.
            roi: (x, y, width, height) in pixels of the frame: look at this region alone. The
                network sees the square around its centre whose side is the longer of width and
                height, nothing is added. ``None``: find and follow the person.
            timestamp_ms: when the frame was taken, in ms, after the frame before; ``None`` for
                now, on a clock that never runs backwards.

        Returns:
            The pose, or no pose and the reason.

        Raises:
            FrameError: the frame is not one that can be tracked, or the roi misses it.
            TimestampError: the timestamp is not after the last one.
            InferenceError: a network failed.
            ConfigError: the tracker has ``on_result``, tracks a source, or holds frames back.
            ClosedError: the tracker or its model was closed.
        """
        called = time.monotonic()
        with self._locked():
            if self._session is not None:
                raise ConfigError(
                    "track() cannot be mixed with on_result or stream(), which track on a thread "
                    "of their own; use submit(), or another PoseTracker."
                )
            if self._work.lag_frames:
                raise ConfigError(
                    f"track() returns the pose of the frame it is given, but this tracker gives "
                    f"poses out {self._work.lag_frames} frames later (lag_frames); use submit() "
                    "or stream()."
                )
            self._recorder.add_frame()
            try:
                image = as_bgr(frame)
                stamp = self._time.check(timestamp_ms, called)
                result = self._work.track(PendingFrame(self._next_id, image, stamp, roi))
            except BaseException:  # Ctrl-C, too: each frame ends somehow
                self._recorder.add_error()
                raise
            self._time.accept(stamp, called)
            self._next_id += 1
            self._recorder.add_result(result)
            events = self._work.take_events(stamp)
        for event in events:  # without the lock: the callback may call any method
            self._tell(event)
        return result

    def submit(
        self,
        frame: NDArray[np.uint8],
        timestamp_ms: float | None = None,
        *,
        roi: RoiLike | None = None,
    ) -> int:
        """Hand over the next frame, whose pose ``on_result`` will get.

        It ends as exactly one of a result, a drop or an error. With the policy ``"latest"`` this
        returns at once; with ``"every-frame"`` it waits while the queue is full. The frame is
        copied, so that the caller may use its memory again.

        Args:
            frame: as for :meth:`track`, like the others.
            timestamp_ms: when it was taken; ``None`` for the time of this call, not that of
                the end of a wait.
            roi: where to look.

        Returns:
            The number of the frame, which its result, drop or error will bear.

        Raises:
            FrameError: the frame is not one that can be tracked; only this frame is refused.
            TimestampError: the timestamp is not after the last one; only this frame is refused.
            ConfigError: there is no ``on_result``, or this is a callback and the queue is full.
            ClosedError: the tracker was closed, also while this call waited.
        """
        called = time.monotonic()
        self._require_open()
        session = self._session
        if session is None or self._callbacks.on_result is None:
            raise ConfigError("submit() needs on_result=, a function that gets the results.")
        return session.submit(self._own_image(frame), timestamp_ms, roi, called)

    def flush(self, timeout: float | None = None) -> bool:
        """Wait until each frame has ended and the callbacks have returned.

        Args:
            timeout: how many seconds at most, ``None`` for as long as it takes.

        Returns:
            Whether that came true in time.

        Raises:
            ClosedError: the tracker was closed, or a thread of it failed.
            ConfigError: this is a callback, which would wait for itself, or the tracker has no
                ``on_result``: the loop over a stream would, too.
        """
        self._require_open()
        session = self._session
        if session is None or self._callbacks.on_result is None:
            raise ConfigError("flush() waits for what submit() took, which needs on_result=.")
        return session.pipeline.flush(timeout)

    def stream(self, source: Any) -> Iterator[PoseResult]:
        """Track a source from its beginning, as if the tracker was new (but for ``stats``).

        Live sources are tracked with the policy ``"latest"``, others with ``"every-frame"``,
        unless the tracker has a policy. After a loss of the source tracking starts afresh. Leaving
        the loop closes the source.

        Args:
            source: path, URL, camera number, iterable or source; see
                :func:`edgepose_runtime.capture.open_source`.

        Returns:
            The results, in the order of the frames.

        Raises:
            SourceError: at once or in the loop: there is no such source, or it failed.
            EdgePoseError: in the loop: a frame failed, and there is no ``on_error``.
            ConfigError: the tracker has ``on_result``, or tracks another source.
            ClosedError: the tracker was closed.
        """
        self._require_open()
        if self._callbacks.on_result is not None:
            raise ConfigError("stream() returns the results; make a PoseTracker without on_result.")
        return self._results(open_source(source))

    def warmup(self) -> None:
        """Run every network and kernel once, so that the first frame is as quick as the others.

        Raises:
            InferenceError: a network failed.
            ClosedError: the tracker or its model was closed.
        """
        with self._locked():
            self._work.warmup()
            self._recorder.warmed_up()

    def reset(self) -> None:
        """Forget the person, the timestamps and the statistics, as if newly made.

        Frames that have no result yet are dropped. A loop over :meth:`stream` gets no result from
        before: its next one has the number 0 or, with the policy ``"latest"``, a later one.

        Raises:
            ClosedError: the tracker was closed.
        """
        with self._locked():
            recorder = StatsRecorder()
            if self._head is not None:
                self._head.reset()
            if self._session is None:
                self._start_afresh()
            else:
                self._session.reset(recorder)
            self._recorder = recorder

    def __repr__(self) -> str:
        if os.getpid() != self._process:
            return "PoseTracker(of another process)"
        if self._closed:
            return "PoseTracker(closed)"
        return f"PoseTracker({self._model!r}, {self.stats.frames} frames)"

    def _results(self, source: FrameSource) -> Iterator[PoseResult]:
        with source:
            session = self._open_session(source)
            try:
                yield from session.results()
            finally:
                session.close(DROP_TIMEOUT_S)
                self._finalizer.detach()
                with self._lock:
                    self._unhandled = self._take_unhandled(session)
                    self._session = None
                    if not self._closed:  # the networks may be gone
                        self._start_afresh()

    def _open_session(self, source: FrameSource) -> SourceSession:
        with self._locked():
            if self._session is not None:
                raise ConfigError("This tracker tracks a source already; make another one.")
            self._start_afresh()
            session = SourceSession(
                source, self._work, self._options.policy, self._recorder, self._callbacks
            )
            self._adopt(session)
            return session

    def _close(self, timeout: float, *, drain: bool) -> Exception | None:
        """Close, and return the error that nobody dealt with."""
        if os.getpid() != self._process:
            return None
        self._closed = True
        session = self._session
        # Waits for a frame in work, which needs the networks, and for a stream that begins.
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

    def _link(self, remote: RemoteHead, local: str) -> HeadLink:
        try:
            return HeadLink(self._model, remote, local=local == "fallback")
        except BaseException:
            if self._owns_model:
                self._model.close()
            raise

    def _release(self) -> None:
        """Let go of the networks; only when no thread tracks any more."""
        if self._head is not None:
            self._head.close()
        if self._owns_model:
            self._model.close()

    def _tell(self, event: StreamEvent) -> None:
        """Tell of an event in the thread that called :meth:`track`."""
        if self._callbacks.on_event is not None:
            self._callbacks.on_event(event)

    def _take_unhandled(self, session: Session | None = None) -> Exception | None:
        error, self._unhandled = self._unhandled, None
        return error or (None if session is None else session.take_unhandled())

    def _own_image(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        try:
            image = as_bgr(frame)
        except EdgePoseError:
            self._recorder.add_frame()
            self._recorder.add_error()
            raise
        return image.copy() if np.may_share_memory(image, frame) else image

    def _adopt(self, session: Session) -> None:
        self._session = session
        self._finalizer = close_at_exit(self, session.pipeline.abandon)

    def _start_afresh(self) -> None:
        # Not the old ones reset: a thread that does not return may hold them.
        self._work = self._options.new_work(self._model, self._head)
        self._time = StreamTime()
        self._next_id = 0

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._require_open()  # before: in the child of a fork the lock may be held for ever
        with self._lock:
            self._require_open()
            yield

    def _require_own_process(self) -> None:
        if os.getpid() != self._process:
            raise ClosedError(
                "The tracker was made in another process and does not survive a fork; make a new "
                "PoseTracker in this one."
            )

    def _require_open(self) -> None:
        self._require_own_process()
        if self._closed:
            raise ClosedError("The tracker was closed; make a new PoseTracker.")
