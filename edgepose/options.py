"""Options that trackers and pools have in common, checked before anything is opened."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from edgepose.inference.looks import JointLooks
from edgepose.inference.model import PoseModel, load
from edgepose.inference.person_detector import PersonDetector, person_regions
from edgepose.keyframes import KeyFrames, key_frame_settings
from edgepose.keyframes.interpolation import KeyFrameInterpolation
from edgepose.keyframes.live import LiveKeyFrames
from edgepose.keyframes.network import for_one, for_several
from edgepose.people.schedule import LookBudget
from edgepose.people.settings import (
    Follow,
    FollowRule,
    MaxPeople,
    SeveralPeople,
    follow_rule,
    people_settings,
)
from edgepose.people.step import PeopleStep
from edgepose.people.stream import PeopleStream
from edgepose.refinement.thin_slicing import RefineOption, refinement
from edgepose.remote import HeadConnection, HeadLocal, JoinedRequests, RemoteHead, remote_head
from edgepose.streaming.flow_control import FlowPolicy, PolicyName, make_policy
from edgepose.tracking.deadline import Deadline
from edgepose.tracking.search.person_search import NoSearch, PersonSearch
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET, SearchBudget
from edgepose.tracking.step import TrackingStep
from edgepose.tracking.strategies import LocalHead, Refiner
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.checks import is_whole_number
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.image_types import ColorOrder, require_color
from edgepose_runtime.poses.smoothing import OneEuroSettings

Head = TypeVar("Head", bound=Closable)


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What runs the networks, for a model that is not loaded yet; see :func:`edgepose.load`.

    Attributes:
        backend: ``"openvino"``, ``"onnxruntime"`` or, on a server, ``"triton"``.
        device: where the networks run.
        precision: what they compute in.
        num_threads: CPU threads for each network.
    """

    backend: str | None = None
    device: str | None = None
    precision: str | None = None
    num_threads: int | None = None

    def given(self) -> dict[str, Any]:
        """Return the options that were given, by name."""
        options = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in options.items() if value is not None}

    def check_for(self, model: str | Path | PoseModel) -> None:
        """Refuse options for a model that is loaded already.

        Raises:
            ConfigError: one was given.
        """
        given = self.given()
        if given and isinstance(model, PoseModel):
            raise ConfigError(
                f"{', '.join(given)} cannot be chosen for {model!r}, which is loaded already; give "
                "such options to edgepose.load()."
            )

    def load(self, model: str | Path | PoseModel) -> PoseModel:
        """Return a model that is loaded, or load one by name or path."""
        return model if isinstance(model, PoseModel) else load(model, **self.given())


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """How a stream is tracked: by :class:`edgepose.PoseTracker`, or each by a pool.

    Attributes:
        smoothing: whether joints are smoothed in time (One-Euro filter), or how.
        reinitialise_every: run the heavy head every N frames; 0: only at the start and after a
            loss; ``None``: what the bundle recommends, or what ``key_frames`` say.
        deadline_ms: from a frame's submission to its pose. When time is short a cheaper step is
            taken, and ``origin`` says so: the head is put off, or the pose is predicted.
        policy: what happens to a frame that arrives while others are tracked: ``"every-frame"``
            makes ``submit()`` wait, ``"latest"`` drops all but the newest. ``None``: the former
            for ``submit()`` and files, the latter for live sources.
        head: address of a server with a heavy head, such as ``"grpc://host:8001"``, or a
            :class:`RemoteHead`. Tracking starts at once with the light network; late answers are
            propagated through the frames since. Requests are sent at the start, after a loss,
            when joints are doubtful, and every ``reinitialise_every`` frames.
        head_local: what the model's own head is for then: ``"fallback"`` replaces the server while
            it is away, ``"never"`` leaves that to the light network.
        key_frames: run the networks on few frames only, and propagate the pose through the others:
            ``"auto"`` or :class:`KeyFrames`, such as ``KeyFrames(max_key_rate=0.2)``; ``None``:
            run them on all.
        refine: ``True``, ``"thin-slicing"`` or :class:`ThinSlicing`: each pose is refined with
            neighbouring frames, and comes some frames later; see there. ``origin`` is then
            ``refined``.
        search_budget: what a frame without a person costs on average, in steps for a person. With
            1.5 a person who enters is mostly found within 0.3 s; less saves power in empty
            scenes, more finds people who stand still or are small sooner.
        max_people: how many people are followed: a number from 1 to 100, ``"all"`` for 100, or
            :class:`SeveralPeople` with further options. Above 1 each has an identity, and the
            model needs a person detector; ``deadline_ms`` then decides how many of them the
            networks process per frame, and the others' poses are predicted.
        follow: whose pose is the result's own ``keypoints`` then: ``"longest"`` for the person
            followed longest, ``"largest"``, ``"centre"``, or a function that is given the people
            of a frame, a sequence of :class:`Person`, and returns one of them.
        color: order of the colours in arrays that a program hands over, ``"bgr"`` or ``"rgb"``.

    Raises:
        ConfigError: an option has no such value, or contradicts another.
    """

    smoothing: bool | OneEuroSettings = True
    reinitialise_every: int | None = None
    deadline_ms: float | None = None
    policy: PolicyName | None = None
    head: str | RemoteHead | None = None
    head_local: HeadLocal = "fallback"
    key_frames: KeyFrames | Literal["auto"] | None = None
    refine: RefineOption | None = None
    search_budget: float = DEFAULT_BUDGET
    max_people: MaxPeople = 1
    follow: FollowRule | Follow = "longest"
    color: ColorOrder = "bgr"

    def __post_init__(self) -> None:
        follow_rule(self.follow, lambda: (1, 1))
        people_settings(self.max_people)
        self._smoothing_settings()
        _check_interval(self.reinitialise_every)
        self.remote_head()
        if self.deadline_ms is not None:
            Deadline(self.deadline_ms)
        if self.policy is not None:
            make_policy(self.policy)
        key_frame_settings(self.key_frames)
        SearchBudget(self.search_budget)
        require_color(self.color)
        if refinement(self.refine) is not None and self.key_frames is not None:
            raise ConfigError(
                "key_frames and refine contradict each other: one runs the networks on few frames, "
                "the other compares their output for all of them. Leave one out."
            )

    @property
    def uses_local_head(self) -> bool:
        """Whether the bundle's own head replaces a remote one that is away."""
        return self.head_local == "fallback"

    def remote_head(self) -> RemoteHead | None:
        """Return the settings of the remote head, ``None`` for none."""
        return remote_head(self.head, self.head_local)

    def new_step(
        self,
        model: PoseModel,
        head: HeadConnection | None = None,
        policy: FlowPolicy | None = None,
        participating: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> TrackingStep | PeopleStep:
        """Return the per-frame step of a new stream, with all its parts.

        Args:
            model: its networks.
            head: connection to a remote head.
            policy: of the queue in which frames wait; ``None`` if they do not.
            participating: see :class:`TrackingStep`.
        """
        waiting_counts = policy is None or policy.drops
        people = people_settings(self.max_people)
        if people is not None:
            return self._new_people_step(model, people, head, waiting_counts, participating)
        stream, refiner = self._new_track(model, head)
        return TrackingStep(
            stream,
            self.deadline_ms,
            refiner,
            waiting_counts=waiting_counts,
            participating=participating,
        )

    def _new_people_step(
        self,
        model: PoseModel,
        people: SeveralPeople,
        head: HeadConnection | None,
        waiting_counts: bool,
        participating: Callable[[], AbstractContextManager[None]],
    ) -> PeopleStep:
        detector = PersonDetector(*model.detector())
        requests = None if head is None else JoinedRequests(head)
        reruns = requests is None and bool(model.head_interval(self.reinitialise_every))
        new_track = partial(self._new_track, model, requests, searches=False)
        stream = PeopleStream(
            detector, people, new_track, model.skeleton, JointLooks(model), reruns_head=reruns
        )
        return PeopleStep(
            stream,
            LookBudget(people.looks_per_frame, self.deadline_ms),
            follow_rule(self.follow, lambda: stream.frame_size),
            model.skeleton,
            self._lag_frames,
            requests,
            waiting_counts=waiting_counts,
            participating=participating,
        )

    def _new_track(
        self,
        model: PoseModel,
        head: HeadConnection | JoinedRequests | None,
        *,
        searches: bool = True,
    ) -> tuple[PoseStream, Refiner | None]:
        """Return the state of one person, and what refines the poses."""
        own, settings = self.reinitialise_every, key_frame_settings(self.key_frames)
        every, keys = model.head_interval(own), None
        if settings is not None:
            choose = for_one if searches else for_several
            settings, every = choose(settings, model, own, is_remote=head is not None)
            keys = LiveKeyFrames(settings, model.skeleton)
        new_search = partial(PersonSearch, budget=self.search_budget, propose=person_regions(model))
        stream = PoseStream(
            model,
            smoothing=self._smoothing_settings(),
            head=LocalHead(every) if head is None else head.new_tracker(every),
            key_frames=keys,
            new_search=new_search if searches else lambda _: NoSearch(),
        )
        return stream, self._new_refiner(model, keys)

    @property
    def _lag_frames(self) -> int:
        """How many frames results are held back at most."""
        refine, keys = refinement(self.refine), key_frame_settings(self.key_frames)
        return max(0 if each is None else each.lag_frames for each in (refine, keys))

    def _new_refiner(self, model: PoseModel, keys: LiveKeyFrames | None) -> Refiner | None:
        refine = refinement(self.refine)
        if refine is not None:
            return refine.new_refiner(model, self._smoothing_settings())
        if keys is not None and keys.settings.lag_frames:
            return KeyFrameInterpolation(keys)
        return None

    def _smoothing_settings(self) -> OneEuroSettings | None:
        smoothing = self.smoothing
        if isinstance(smoothing, OneEuroSettings):
            return smoothing
        if not isinstance(smoothing, bool):
            raise ConfigError(
                f"smoothing must be True, False or OneEuroSettings; got {smoothing!r}."
            )
        return OneEuroSettings() if smoothing else None


class Engine(Generic[Head]):
    """The networks and the remote head of a tracker or pool, released together.

    Args:
        model: the networks.
        owned: they are closed on release; shared ones are not.
        connect: opens the connection to the remote head, or returns ``None`` for none.
    """

    def __init__(
        self, model: PoseModel, *, owned: bool, connect: Callable[[PoseModel], Head | None]
    ) -> None:
        self.model = model
        self.head: Head | None = None
        self._owned = owned
        try:
            self.head = connect(model)
        except BaseException:
            self.release()
            raise

    @classmethod
    def open(
        cls,
        options: EngineOptions,
        model: str | Path | PoseModel,
        connect: Callable[[PoseModel], Head | None],
    ) -> Engine[Head]:
        """Load a model, unless it is loaded already, and connect to the remote head."""
        return cls(options.load(model), owned=not isinstance(model, PoseModel), connect=connect)

    def release(self) -> None:
        """Close the connection and the networks; only when no thread tracks any more."""
        if self.head is not None:
            self.head.close()
        if self._owned:
            self.model.close()


def _check_interval(reinitialise_every: int | None) -> None:
    if reinitialise_every is None:
        return
    if not is_whole_number(reinitialise_every) or reinitialise_every < 0:
        raise ConfigError(
            "reinitialise_every must be a whole number of frames, 0 for never or None for what the "
            f"bundle recommends; got {reinitialise_every!r}."
        )
