"""The parts of tracking that can be exchanged, as interfaces: key frames, head, refinement.

Their implementations are in :mod:`edgepose.keyframes`, :mod:`edgepose.remote` and
:mod:`edgepose.refinement`. What a stream does without them is in :mod:`edgepose.tracking.stream`
and :mod:`edgepose.tracking.step`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from edgepose.inference.estimator import Image, Keypoints, Observation, StageClock
from edgepose.inference.looks import Look
from edgepose.inference.model import PoseModel
from edgepose.methods.base import FollowedJoints
from edgepose.results import PoseResult
from edgepose.tracking.deadline import Effort
from edgepose.tracking.frame import Frame
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.poses.optical_flow import FlowStep
from edgepose_runtime.poses.smoothing import OneEuroSettings


@dataclass(frozen=True, slots=True, eq=False)
class PropagatedPose:
    """A pose that was propagated into a frame by optical flow.

    Attributes:
        keypoints: float32 (K, 3): x, y in frame pixels, with the scores of the key frame.
        is_key: the frame should be processed by the networks nevertheless.
        step: the movement.
        followed: the same joints for the light network to go on from, where frames were passed over
            since it last ran; else ``None``.
    """

    keypoints: Keypoints
    is_key: bool
    step: FlowStep
    followed: FollowedJoints | None = None


@dataclass(frozen=True, slots=True, eq=False)
class PendingFrame:
    """A frame that the state of a stream was asked about, but has not taken in yet.

    Attributes:
        frame: the frame.
        effort: how much work it is worth.
        propagated: the pose that is expected in it, if any.
        look: where the person is; ``None`` to search.
        result: of a frame that no network has to process; it was taken in already.
    """

    frame: Frame
    effort: Effort
    propagated: PropagatedPose | None = None
    look: Look | None = None
    result: PoseResult | None = None


class KeyFrameStrategy(Protocol):
    """Chooses the frames of one stream that the networks process. For one thread at a time.

    Attributes:
        counts_age: the age of a pose is counted from the last key frame, not from the head.
    """

    counts_age: bool

    def reset(self) -> None:
        """Forget the person."""

    def warmup(self) -> None:
        """Run every kernel once."""

    def propagate(self, image: Image) -> PropagatedPose | None:
        """Return the pose expected in the next frame; ``None`` to process the frame.

        This changes nothing: a frame that fails leaves no trace.
        """

    def as_key_frame(self, observation: Observation) -> Observation:
        """Return a key frame's observation, with its origin."""

    def skipped(self, propagated: PropagatedPose) -> None:
        """Take in that no network processed the frame."""

    def observed(
        self, image: Image, observation: Observation | None, propagated: PropagatedPose | None
    ) -> None:
        """Take in what the networks saw in a frame; ``None`` for nobody."""


class NoKeyFrames:
    """The networks process every frame."""

    counts_age = False

    def _nothing(self, *_: object) -> None:
        """Do nothing."""

    reset = warmup = propagate = skipped = observed = _nothing

    def as_key_frame(self, observation: Observation) -> Observation:
        """Return the observation as it is."""
        return observation


def _nothing(*_: object, **__: object) -> None:
    """Do nothing: a part that a stream goes without."""


def _unchanged(observation: Observation, *_: object) -> Observation:
    return observation


class LocalHead:
    """The bundle's own head: at the start of a track, then every ``interval`` frames if given."""

    merged = observed = age_ms = forget_track = staticmethod(_nothing)
    corrected = staticmethod(_unchanged)

    def __init__(self, interval: int | None) -> None:
        self._interval = interval or None

    def use_light_network(self) -> bool:
        """Return False: the head starts every track."""
        return False

    def is_due(self, age: int | None) -> bool:
        """Whether the head should process the next frame."""
        return age is None or (self._interval is not None and age + 1 >= self._interval)

    def take_events(self, _timestamp_ms: float) -> list[StreamEvent]:
        """Return nothing."""
        return []


class HeadStrategy(Protocol):
    """Decides when a heavy head runs, and what becomes of its answer. For one thread at a time."""

    def use_light_network(self) -> bool:
        """Return whether the light network starts a track, in place of the bundle's own head."""

    def is_due(self, age: int | None) -> bool:
        """Whether the bundle's own head should process the next frame.

        Args:
            age: frames since the head ran; ``None`` if nobody is tracked.
        """

    def merged(self) -> Observation | None:
        """Return the observation to continue from, if a late answer is ready."""

    def corrected(self, observation: Observation, frame: Frame, clock: StageClock) -> Observation:
        """Return a frame's observation, corrected by an answer that was merged before."""

    def observed(self, frame: Frame, observation: Observation | None, *, continues: bool) -> None:
        """Take in what was seen in a frame.

        Args:
            frame: the frame.
            observation: of the person, ``None`` for nobody.
            continues: it is the person of the last frame.
        """

    def age_ms(self, timestamp_ms: float) -> float | None:
        """Return how old the head's last answer for this track is; ``None`` if there is none."""

    def forget_track(self) -> None:
        """Forget the person."""

    def take_events(self, timestamp_ms: float) -> list[StreamEvent]:
        """Return what happened to a server since the last call, with the time of this frame."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackedFrame:
    """A frame with what is known of it so far.

    Attributes:
        image: uint8 BGR (H, W, 3).
        result: its pose as of now.
        observation: of the networks; ``None`` where none ran, or nobody was found.
    """

    image: Image
    result: PoseResult
    observation: Observation | None


class Refiner(Protocol):
    """Holds frames back for a while, and improves them. One per stream, for one thread at a time.

    Attributes:
        lag_frames: how many frames it holds back at most.
    """

    lag_frames: int

    def warmup(self) -> None:
        """Run every kernel once, without touching the frames that are held back."""

    def take(self, tracked: TrackedFrame) -> list[PoseResult]:
        """Take in the next frame.

        Returns:
            The results that are final now, in the order of their frames; each frame that was taken
            in comes out exactly once.
        """

    def flush(self) -> list[PoseResult]:
        """Return the results of all frames that are held back: none will follow."""

    def reset(self) -> None:
        """Forget the frames that are held back."""


class Refinement(Protocol):
    """Settings from which a tracker makes refiners.

    Attributes:
        lag_frames: see :class:`Refiner`.
    """

    @property
    def lag_frames(self) -> int:
        """How many frames are held back at most."""

    def new_refiner(self, model: PoseModel, smoothing: OneEuroSettings | None) -> Refiner:
        """Return a refiner for one stream of a model, with the smoothing of its tracker."""


class FrameStep(Protocol):
    """What a tracker does with one frame of a stream after the other. For one thread at a time.

    Attributes:
        lag_frames: how many frames are held back at most, for the sake of better results.
    """

    lag_frames: int

    def run(self, frame: Frame) -> Sequence[PoseResult | StreamEvent]:
        """Track a frame that waited; return the results that are final, in order, and events."""

    def track(self, frame: Frame) -> tuple[PoseResult, list[StreamEvent]]:
        """Track a frame that did not wait; return its result and events."""

    def flush(self) -> Sequence[PoseResult | StreamEvent]:
        """Return the results that are held back, and events: none will follow."""

    def warmup(self) -> None:
        """Run every network and kernel once; the state stays as it is."""

    def reset(self) -> None:
        """Forget everybody, and the frames that are held back."""
