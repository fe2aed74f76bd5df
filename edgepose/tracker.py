"""PoseTracker: a frame goes in, a pose comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Literal, cast, overload

from edgepose.inference.model import DEFAULT_MODEL, PoseModel
from edgepose.keyframes import KeyFrames
from edgepose.options import Engine, EngineOptions, TrackingOptions
from edgepose.people.settings import Follow, FollowRule, MaxPeople
from edgepose.refinement.thin_slicing import RefineOption
from edgepose.remote import HeadConnection, HeadLocal, RemoteHead
from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose.stats import TrackerStats
from edgepose.streaming.callbacks import Callbacks
from edgepose.streaming.flow_control import PolicyName
from edgepose.streaming.shutdown import ManagedResource
from edgepose.streaming.single_stream import SingleStream
from edgepose.tracking.frame import Image
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET
from edgepose_runtime.capture import open_source
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.image_types import ColorOrder, FrameLike
from edgepose_runtime.geometry.roi import RoiLike
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.poses.smoothing import OneEuroSettings


class PoseTracker(ManagedResource):
    """Tracks one person, or several with an identity each, through one stream of frames.

    It finds the person in the whole frame, follows the pose from then on, notices when the person
    is lost, and searches again. With ``max_people`` above 1 a detector finds everybody, and
    :attr:`PoseResult.people` has a pose for each. Several trackers can share the networks of one
    :func:`edgepose.load`.

    Frames go in by one of three ways. :meth:`track` returns the pose. :meth:`submit` takes the
    frame, and ``on_result`` gets the pose. :meth:`stream` reads a source and yields poses.

    Example:
        >>> with PoseTracker("ppn-swift") as tracker:
        ...     poses = [result.keypoints for result in tracker.stream("samples/clips/balance.mp4")]
        >>> len(poses), poses[0].shape
        (100, (13, 3))

    Any method may be called from any thread. Callbacks are called one at a time, in the order of
    the frames, on one thread that does nothing else. What a callback raises goes to ``on_error``;
    an error that ``on_error`` does not handle is raised by :meth:`close`.

    Args:
        model: name of a shipped bundle, path of a bundle, or a loaded model to share. A model
            that the tracker loads itself is closed with it; a shared one is not.
        backend: see :class:`~edgepose.options.EngineOptions`, like ``device``, ``precision`` and
            ``num_threads``; only for a model that is not loaded yet.
        smoothing: see :class:`~edgepose.options.TrackingOptions`, like ``reinitialise_every``,
            ``deadline_ms``, ``policy``, ``head``, ``head_local``, ``key_frames``, ``refine``,
            ``search_budget``, ``max_people``, ``follow`` and ``color``.
        on_result: gets each :class:`PoseResult` of :meth:`submit`.
        on_drop: gets a :class:`FrameDrop` for each frame that was dropped.
        on_error: gets a :class:`TrackingFailure` for each error, and so handles it.
        on_event: gets each :class:`StreamEvent` of a source, such as a lost camera, of the remote
            head, or of one of several people, who entered, was lost, found or left; with
            :meth:`track`, on the thread that calls it.

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
        policy: PolicyName | None = None,
        head: str | RemoteHead | None = None,
        head_local: HeadLocal = "fallback",
        key_frames: KeyFrames | Literal["auto"] | None = None,
        refine: RefineOption | None = None,
        search_budget: float = DEFAULT_BUDGET,
        max_people: MaxPeople = 1,
        follow: FollowRule | Follow = "longest",
        color: ColorOrder = "bgr",
        on_result: Callable[[PoseResult], object] | None = None,
        on_drop: Callable[[FrameDrop], object] | None = None,
        on_error: Callable[[TrackingFailure], object] | None = None,
        on_event: Callable[[StreamEvent], object] | None = None,
    ) -> None:
        self._options_given = {k: v for k, v in locals().items() if k not in ("self", "__class__")}
        engine = EngineOptions(backend, device, precision, num_threads)
        engine.check_for(model)
        self._options = TrackingOptions(
            smoothing,
            reinitialise_every,
            deadline_ms,
            policy,
            head,
            head_local,
            key_frames,
            refine,
            search_budget,
            max_people,
            follow,
            color,
        )
        self._callbacks = Callbacks(on_result, on_drop, on_error, on_event)
        self._engine = Engine.open(engine, model, self._connect)
        self._stream = SingleStream(
            partial(self._options.new_step, self._engine.model, self._engine.head),
            policy,
            self._callbacks,
            release=self._engine.release,
            color=color,
        )

    @property
    def model(self) -> PoseModel:
        """The networks in use, with their name, skeleton and device."""
        return self._engine.model

    @property
    def skeleton(self) -> Skeleton:
        """Names and order of the joints."""
        return self._engine.model.skeleton

    @property
    def stats(self) -> TrackerStats:
        """What the tracker did since it was made or reset: counts, and latency by stage.

        Raises:
            ClosedError: this is the child of a fork.
        """
        stats, head = self._stream.stats(), self._engine.head
        return stats if head is None else replace(stats, head=head.stats)

    def track(
        self,
        frame: FrameLike,
        *,
        roi: RoiLike | None = None,
        timestamp_ms: float | None = None,
    ) -> PoseResult:
        """Estimate the pose in the next frame.

        A frame that is refused with an error leaves no trace, other than in the count of errors:
        the next one is tracked as if it had not been there.

        Args:
            frame: uint8 BGR (H, W, 3); grey (H, W) and BGRA (H, W, 4) are taken too, RGB and RGBA
                with ``color="rgb"``, and images of Pillow, PyAV and PyTorch (uint8, 3 x H x W).
                Frames may change their size: the person is then searched anew.
            roi: (x, y, width, height) in pixels of the frame: only this region is processed. The
                network sees the square around its centre whose side is the longer of width and
                height, nothing is added. Whoever is said to be there may be seen less surely, with
                0.8 of the score. ``None``: find and follow the person. Several people have no roi.
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
        return self._stream.track(frame, timestamp_ms, roi)

    def submit(
        self,
        frame: FrameLike,
        timestamp_ms: float | None = None,
        *,
        roi: RoiLike | None = None,
    ) -> int:
        """Submit the next frame, whose pose ``on_result`` will get.

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
        return self._stream.submit(frame, timestamp_ms, roi)

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
        return self._stream.flush(timeout)

    @overload
    def stream(self, source: Any, *, with_frames: Literal[False] = ...) -> Iterator[PoseResult]: ...

    @overload
    def stream(
        self, source: Any, *, with_frames: Literal[True]
    ) -> Iterator[tuple[Image, PoseResult]]: ...

    def stream(
        self, source: Any, *, with_frames: bool = False
    ) -> Iterator[PoseResult] | Iterator[tuple[Image, PoseResult]]:
        """Track a source from its beginning, as if the tracker was new (but for ``stats``).

        Live sources are tracked with the policy ``"latest"``, others with ``"every-frame"``,
        unless the tracker has a policy. After a loss of the source tracking starts anew. Leaving
        the loop closes the source.

        ::

            for frame, result in tracker.stream("walk.mp4", with_frames=True):
                edgepose.draw_result(frame, result)

        Args:
            source: path, URL, camera number, iterable or source; see
                :func:`edgepose.open_source`.
            with_frames: yield pairs of a frame, uint8 BGR (H, W, 3), and its result, also where
                results come some frames late. A few frames more are in memory at a time.

        Returns:
            The results, in the order of the frames, or pairs of frame and result.

        Raises:
            SourceError: at once or in the loop: there is no such source, or it failed.
            EdgePoseError: in the loop: a frame failed, and there is no ``on_error``.
            ConfigError: the tracker has ``on_result``, or tracks another source.
            ClosedError: the tracker was closed; or the process was forked, and this is the child.
        """
        self._stream.require_open()
        if self._callbacks.on_result is not None:
            raise ConfigError("stream() returns the results; make a PoseTracker without on_result.")
        opened = open_source(source, color=self._options.color)
        pairs = self._stream.results(opened, with_frames=with_frames)
        if with_frames:
            return cast("Iterator[tuple[Image, PoseResult]]", pairs)
        return (result for _, result in pairs)

    def warmup(self) -> None:
        """Run every network and kernel once, so that the first frame is as quick as the others.

        Raises:
            InferenceError: a network failed.
            ClosedError: the tracker or its model was closed.
        """
        self._stream.warmup()

    def reset(self) -> None:
        """Forget everybody, the timestamps and the statistics, as if newly made.

        Frames that have no result yet are dropped. A loop over :meth:`stream` gets no result from
        before: its next one has the number 0 or, with the policy ``"latest"``, a later one.

        Raises:
            ClosedError: the tracker was closed.
        """
        self._stream.reset(None if self._engine.head is None else self._engine.head.reset)

    def __repr__(self) -> str:
        if not self._stream.is_of_this_process:
            return "PoseTracker(of another process)"
        if self._stream.closed:
            return "PoseTracker(closed)"
        return f"PoseTracker({self.model!r}, {self.stats.frames} frames)"

    def _connect(self, model: PoseModel) -> HeadConnection | None:
        remote, local = self._options.remote_head(), self._options.uses_local_head
        return None if remote is None else HeadConnection(model, remote, local=local)

    def _close(self, timeout: float, *, drain: bool) -> Exception | None:
        """Close, and return the error that was not handled."""
        return self._stream._close(timeout, drain=drain)
