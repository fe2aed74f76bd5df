"""TrackerPool: many sources, one set of networks."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from edgepose.inference.model import DEFAULT_MODEL, PoseModel
from edgepose.inference.shared_model import SharedModel, open_shared, share
from edgepose.keyframes import KeyFrames
from edgepose.options import Engine, EngineOptions, TrackingOptions
from edgepose.people.settings import Follow, FollowRule, MaxPeople
from edgepose.refinement.thin_slicing import RefineOption
from edgepose.remote import HeadConnection, HeadLocal, RemoteHead, SharedHeadConnection
from edgepose.results import FrameDrop, PoseResult, TrackingFailure
from edgepose.stats import StatsRecorder, TrackerStats
from edgepose.streaming.callbacks import Callbacks, Dispatcher, named_arguments, with_frames
from edgepose.streaming.flow_control import PolicyName, make_policy
from edgepose.streaming.pipeline import Pipeline
from edgepose.streaming.shutdown import ManagedResource, close_at_exit
from edgepose.streaming.source_reader import GRACE_S, SourceReader, policy_for
from edgepose.streaming.stream_queue import StreamQueue
from edgepose.tracking.frame import Image
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET
from edgepose_runtime.backends import BackendSettings
from edgepose_runtime.capture import FrameSource, open_source
from edgepose_runtime.errors import ConfigError, EdgePoseError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.image_types import ColorOrder
from edgepose_runtime.poses.smoothing import OneEuroSettings

#: Sources that have ended and were not removed, whose statistics are kept.
ENDED_KEPT = 100


@dataclass(frozen=True, slots=True, eq=False)
class _Member:
    queue: StreamQueue
    reader: SourceReader
    head: HeadConnection | None

    def stats(self) -> TrackerStats:
        stats = self.queue.recorder.snapshot()
        return stats if self.head is None else replace(stats, head=self.head.stats)


class TrackerPool(ManagedResource):
    """Tracks one person in each of several sources, on shared networks.

    Each source has a reader thread, a policy and a state of its own: one that is slow or dead
    never holds up another. Sources take turns. Crops of several sources are joined into one
    inference where that is faster.

    Callbacks get the name of the source first, one at a time, on one thread that does nothing else.
    Any method may be called from any thread.

    Example:
        >>> with TrackerPool(on_result=lambda name, result: None) as pool:
        ...     name = pool.add("samples/clips/balance.mp4", "door")

    Args:
        model: name of a shipped bundle, path of a bundle, or a loaded model to share.
        backend: see :class:`~edgepose.options.EngineOptions`, like ``device``, ``precision`` and
            ``num_threads``; only for a model that is not loaded yet.
        batching: whether to join inferences; ``None`` to measure which is faster at the start.
        smoothing: see :class:`~edgepose.options.TrackingOptions`, like ``reinitialise_every``,
            ``deadline_ms``, ``policy``, ``head``, ``head_local``, ``key_frames``, ``refine``,
            ``search_budget``, ``max_people``, ``follow`` and ``color``, for all sources; identities
            of people count for each source by itself. A remote head has one connection for all of
            them; each has counts and events of its own, ``stats[name].head``.
        on_result: called with name and :class:`PoseResult`.
        on_frame: called with name, frame (uint8 BGR, H, W, 3) and :class:`PoseResult`, before
            ``on_result``; one of the two has to be given.
        on_drop: called with name and :class:`FrameDrop`.
        on_error: called with name and :class:`TrackingFailure`, also when a source failed.
        on_event: called with name and :class:`StreamEvent`.

    Raises:
        ConfigError: an option has no such value, or contradicts another.
        BundleError: there is no such bundle, or it is damaged.
        BackendError: the backend or the device is not there.
    """

    def __init__(
        self,
        model: str | Path | PoseModel = DEFAULT_MODEL,
        *,
        on_result: Callable[[str, PoseResult], object] | None = None,
        on_frame: Callable[[str, Image, PoseResult], object] | None = None,
        on_drop: Callable[[str, FrameDrop], object] | None = None,
        on_error: Callable[[str, TrackingFailure], object] | None = None,
        on_event: Callable[[str, StreamEvent], object] | None = None,
        backend: str | None = None,
        device: str | None = None,
        precision: str | None = None,
        num_threads: int | None = None,
        batching: bool | None = None,
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
        self._keep_images = on_frame is not None
        callbacks = Callbacks(with_frames(on_frame, on_result), on_drop, on_error, on_event)
        self._shared = _open(model, engine, batching)
        self._engine = Engine(
            self._shared.model, owned=not isinstance(model, PoseModel), connect=self._connect
        )
        self._dispatcher = Dispatcher(callbacks, named_arguments)
        self._pipeline = Pipeline(self._dispatcher.deliver, workers=self._shared.workers)
        self._scheduler = self._pipeline.scheduler
        self._lock = threading.Lock()
        self._members: dict[str, _Member] = {}
        self._numbers = itertools.count()
        close_at_exit(self, self._scheduler.lifecycle.abandon)

    @property
    def model(self) -> PoseModel:
        """The networks in use."""
        return self._shared.model

    @property
    def batches(self) -> bool:
        """Whether crops of several sources are joined into one inference."""
        return self._shared.batches

    @property
    def stats(self) -> Mapping[str, TrackerStats]:
        """What was done for each source, by name.

        Sources that have ended stay in it until they are removed; but only 100 of them do, those
        that were added last. The others are forgotten, and their names are free again.

        Raises:
            ClosedError: this is the child of a fork.
        """
        self._scheduler.lifecycle.require_own_process()
        with self._lock:
            return {name: each.stats() for name, each in self._members.items()}

    def add(self, source: Any, name: str | None = None) -> str:
        """Track a source from now on.

        Args:
            source: path, URL, camera number, iterable or source; see
                :func:`edgepose_runtime.capture.open_source`.
            name: for the callbacks; ``None`` for a number that is free.

        Returns:
            The name.

        Raises:
            SourceError: there is no such source.
            ConfigError: the name is taken, or no text.
            ClosedError: the pool was closed.
            EdgePoseError: the system has no more threads.
        """
        self._pipeline.start()
        name = self._free_number() if name is None else name
        self._require_free(name)
        # Without the lock: a camera that does not answer must not hold up the others' callers.
        opened = open_source(source, color=self._options.color)
        try:
            member = self._register(opened, name)
        except BaseException:
            opened.close()
            raise
        try:
            member.reader.start()
        except EdgePoseError:
            self.remove(name)
            raise
        return name

    def remove(self, name: str) -> None:
        """Close a source and drop its frames; its statistics go with it.

        Raises:
            ConfigError: the pool has no source of that name.
            ClosedError: this is the child of a fork.
        """
        self._scheduler.lifecycle.require_own_process()
        with self._lock:
            if name not in self._members:
                raise ConfigError(f"The pool has no source {name!r}.")
            member = self._members.pop(name)
        self._scheduler.retire(member.queue)
        member.reader.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until all sources have ended and the callbacks have returned.

        Args:
            timeout: how many seconds at most, ``None`` for as long as it takes.

        Returns:
            Whether that came true in time.

        Raises:
            ClosedError: the pool was closed, or a thread of it failed.
            ConfigError: this is a callback, which would wait for itself.
        """
        return self._scheduler.wait_for_end(timeout)

    def warmup(self) -> None:
        """Run every network and kernel once, so that the first frames are as quick as others.

        Raises:
            InferenceError: a network failed.
        """
        self._options.new_step(self._shared.model).warmup()

    def __repr__(self) -> str:
        return (
            f"TrackerPool({self._shared.model!r}, {', '.join(list(self._members)) or 'no sources'})"
        )

    def _free_number(self) -> str:
        return next(name for name in map(str, self._numbers) if name not in self._members)

    def _require_free(self, name: object) -> None:
        if not isinstance(name, str):
            raise ConfigError(f"The name of a source must be a text or None; got {name!r}.")
        if name in self._members:
            raise ConfigError(f"The pool has a source {name!r} already; choose another name.")

    def _register(self, source: FrameSource, name: str) -> _Member:
        with self._lock:
            self._require_free(name)  # another thread may have been quicker
            member = self._member(source, name)
            self._scheduler.add(member.queue)
            self._members[name] = member
            self._forget_oldest()
            return member

    def _forget_oldest(self) -> None:
        """Forget sources that ended long ago, so that memory stays bounded."""
        ended = [name for name, member in self._members.items() if member.queue.is_over]
        for name in ended[:-ENDED_KEPT]:
            del self._members[name]

    def _member(self, source: FrameSource, name: str) -> _Member:
        head = None if self._engine.head is None else self._engine.head.new_connection()
        policy = make_policy(policy_for(source, self._options.policy))
        model, participating = self._shared.model, self._shared.participating
        step = self._options.new_step(model, head, policy, participating)
        recorder = StatsRecorder()
        queue = StreamQueue(step, policy, recorder, name, keep_images=self._keep_images)
        return _Member(queue, SourceReader(source, queue, self._scheduler), head)

    def _connect(self, model: PoseModel) -> SharedHeadConnection | None:
        remote = self._options.remote_head()
        if remote is None:
            return None
        return SharedHeadConnection(model, remote, local=self._options.uses_local_head)

    def _present(self) -> list[_Member]:
        with self._lock:
            return list(self._members.values())

    def _close(self, timeout: float, *, drain: bool) -> Exception | None:
        """Close, and return the error that was not handled."""
        if not self._pipeline.is_of_this_process:
            return None
        for member in self._present():
            member.reader.stop_source()
        self._pipeline.close(timeout, drain=drain, release=self._engine.release)
        # Together: many sources that do not return take no longer than one. Asked for again, as
        # one may have been added meanwhile; from here on none is.
        deadline = time.monotonic() + GRACE_S
        for member in self._present():
            member.reader.stop(max(0.0, deadline - time.monotonic()))
        return self._scheduler.lifecycle.take_error() or self._dispatcher.take_unhandled()


def _open(
    model: str | Path | PoseModel, engine: EngineOptions, batching: bool | None
) -> SharedModel:
    if batching is not None and not isinstance(batching, bool):
        raise ConfigError(f"batching must be True, False or None; got {batching!r}.")
    if isinstance(model, PoseModel):
        if batching:
            raise ConfigError(
                f"batching=True needs networks of its own, and {model!r} is loaded already; give "
                "the pool the name or path of a bundle."
            )
        return share(model)
    settings = engine.given()
    backend = settings.pop("backend", "openvino")
    return open_shared(model, backend, BackendSettings(**settings), batching=batching)
