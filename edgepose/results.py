"""How a frame ends: a result, a drop or a failure; and the end of a stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepose_runtime.errors import BackendUnavailableError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.joints import trusted_joints
from edgepose_runtime.poses.measures import joint_angle, joint_table
from edgepose_runtime.poses.skeletons import Skeleton
from edgepose_runtime.text_enum import TextEnum

#: Joints with this score or more are drawn, and are in the ``bbox`` of a pose.
TRUSTED_SCORE = 0.2
Box = tuple[float, float, float, float]


class Origin(TextEnum):
    """How a pose came about.

    A pose is exactly as fresh as this says: nothing is called ``initialised`` that was
    propagated from an earlier frame.
    """

    INITIALISED = "initialised"
    """The head ran on this very frame."""
    PROPAGATED = "propagated"
    """The last frame's pose was propagated to this one by the light network."""
    MATCHED = "matched"
    """Found by matching the pose kernels of the last frame."""
    KEY_FRAME = "key_frame"
    """The pose network ran because this frame was chosen as a key frame."""
    PREDICTED = "predicted"
    """Extrapolated, or propagated by optical flow; no network processed this frame."""
    INTERPOLATED = "interpolated"
    """Computed from the key frames before and after."""
    REFINED = "refined"
    """Improved by passing messages between neighbouring frames."""


class PersonState(TextEnum):
    """Whether a person of a result was seen in the frame."""

    TRACKED = "tracked"
    """Followed: seen in this frame, or predicted where the networks skipped it."""
    HIDDEN = "hidden"
    """Not seen since a moment ago, as behind somebody else; the pose is predicted."""


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One of the people in a frame.

    Attributes:
        person_id: the identity within the stream, from 1; never given to somebody else.
        keypoints: float32 (K, 3), as in :class:`PoseResult`.
        score: mean score of the joints, from 0 to 1.
        origin: how the pose came about.
        key_frame_age: frames since the head last ran or, where key frames are chosen, since the
            last of those.
        roi: (x, y, width, height) of the square that the network last saw, in frame pixels.
        state: whether the person was seen.
    """

    person_id: int
    keypoints: NDArray[np.float32]
    score: float
    origin: Origin
    key_frame_age: int
    roi: Box
    state: PersonState

    @property
    def bbox(self) -> Box | None:
        """As :attr:`PoseResult.bbox`."""
        return _joints_box(self.keypoints)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON: what JSON Lines of version 2 have of a person."""
        return {
            "person": self.person_id,
            "keypoints": _plain_joints(self.keypoints),
            "score": round(self.score, 4),
            "roi": _rounded(self.roi),
            "origin": self.origin.value,
            "key_frame_age": self.key_frame_age,
            "state": self.state.value,
        }


@dataclass(frozen=True, slots=True, eq=False)
class PoseResult:
    """The pose in one frame, or why there is none.

    Example:
        >>> x, y, score = result.joint("left_wrist")
        >>> result.angle("left_shoulder", "left_elbow", "left_wrist") > 150  # degrees
        True

    Attributes:
        frame_id: number of the frame in its stream, from 0.
        timestamp_ms: when the frame was taken, in ms: as given, else of a monotonic clock.
        keypoints: float32 (K, 3): x and y in pixels of the frame as it was given (pixel centres at
            integers) and a score from 0 to 1, in the order of ``skeleton.joints``. A joint with a
            low score keeps its coordinates, so that the caller may choose the threshold; a joint
            that was not seen at all is NaN with score 0. ``None`` if there is no pose.
        reason: why there is no pose, in a few words; ``None`` if there is one.
        roi: (x, y, width, height) of the square that the network saw, in frame pixels; ``None``
            where the frame was searched without success.
        origin: how the pose came about; ``None`` if there is no pose.
        key_frame_age: frames since the head last ran or, where key frames are chosen, since the
            last of those; 0 on the frame itself, ``None`` if there is no pose.
        latency: what each stage took on this frame, in ms; ``"total"`` is the whole call.
        skeleton: names and order of the joints.
        head_age_ms: how long ago the frame was taken that a head last processed in this track,
            where the tracker has a remote one; ``None`` if none did.
        several: everybody in the frame, in the order of their identities, where the tracker follows
            several people: ``keypoints`` and its like are then the main person's. ``None`` with
            ``max_people=1``; read :attr:`people`, which is there in both cases.
    """

    frame_id: int
    timestamp_ms: float
    keypoints: NDArray[np.float32] | None
    reason: str | None
    roi: Box | None
    origin: Origin | None
    key_frame_age: int | None
    latency: Mapping[str, float]
    skeleton: Skeleton
    head_age_ms: float | None = None
    several: tuple[Person, ...] | None = None

    @property
    def people(self) -> tuple[Person, ...]:
        """Everybody with a pose in the frame; with ``max_people=1`` that is person 1 or nobody."""
        if self.several is not None:
            return self.several
        if self.keypoints is None or self.origin is None or self.roi is None:
            return ()
        return (
            Person(
                1,
                self.keypoints,
                float(self.keypoints[:, 2].mean()),
                self.origin,
                self.key_frame_age or 0,
                self.roi,
                PersonState.TRACKED,
            ),
        )

    @property
    def bbox(self) -> Box | None:
        """(x, y, width, height) of the tight box around the joints that score 0.2 or more.

        In frame pixels, as :attr:`roi`. ``None`` if there is no such joint. Joints lie inside the
        body: the box cuts off the skull, the hands and the feet.
        """
        return None if self.keypoints is None else _joints_box(self.keypoints)

    def to_dict(self, *, several: bool = False) -> dict[str, Any]:
        """Return plain values for JSON, the same as a line of a JSON Lines file.

        A joint that was not seen is ``[None, None, 0.0]``; coordinates are rounded to 0.001 pixels.

        Args:
            several: return version 2, with a list of people; version 1 has one person's joints.
        """
        facts = {"frame": self.frame_id, "timestamp_ms": round(self.timestamp_ms, 3)}
        latency = {stage: round(ms, 3) for stage, ms in self.latency.items()}
        if several:
            people = [person.to_dict() for person in self.people]
            return {**facts, "people": people, "reason": self.reason, "latency_ms": latency}
        return {
            **facts,
            "keypoints": None if self.keypoints is None else _plain_joints(self.keypoints),
            "roi": None if self.roi is None else _rounded(self.roi),
            "origin": None if self.origin is None else self.origin.value,
            "key_frame_age": self.key_frame_age,
            "latency_ms": latency,
            **({} if self.reason is None else {"reason": self.reason}),
        }

    def to_supervision(self) -> Any:
        """Return everybody as ``supervision.KeyPoints``, with identities in its ``data``.

        ``xy`` is float32 (P, K, 2) in the order of ``skeleton.joints``, (0, 0) for a joint that was
        not seen, ``keypoint_confidence`` float32 (P, K), ``detection_confidence`` float32 (P,),
        and ``data["tracker_id"]`` int (P,).

        Raises:
            BackendUnavailableError: the package supervision is not installed.
        """
        try:
            import supervision
        except ImportError as error:
            raise BackendUnavailableError(
                "to_supervision() needs the package supervision: pip install supervision"
            ) from error
        people = self.people
        shape = (len(people), self.skeleton.num_joints, 3)
        joints = np.array([person.keypoints for person in people], np.float32).reshape(shape)
        joints = np.where(np.isfinite(joints).all(axis=-1, keepdims=True), joints, 0)
        return supervision.KeyPoints(
            xy=joints[..., :2],
            keypoint_confidence=joints[..., 2],
            detection_confidence=np.array([person.score for person in people], np.float32),
            class_id=np.zeros(len(people), int),
            data={"tracker_id": np.array([person.person_id for person in people], int)},
        )

    def joint(self, name: str) -> NDArray[np.float32] | None:
        """Return ``(x, y, score)`` of a joint by name, or ``None`` if there is no pose.

        Raises:
            ConfigError: the skeleton has no such joint.
        """
        index = self.skeleton.index(name)
        return None if self.keypoints is None else self.keypoints[index]

    def angle(self, first: str, middle: str, last: str) -> float | None:
        """Return the angle at ``middle`` in degrees, 180 if straight; ``None`` if unknown."""
        pose, names = self.keypoints, (first, middle, last)
        return None if pose is None else joint_angle(pose, self.skeleton, names)

    def _repr_html_(self) -> str:
        caption = f"frame {self.frame_id}: {self.origin or self.reason}"
        return joint_table(self.keypoints, self.skeleton, caption)


def _joints_box(keypoints: NDArray[np.float32]) -> Box | None:
    trusted = keypoints[trusted_joints(keypoints, TRUSTED_SCORE), :2]
    return Roi.from_points(trusted).as_tuple() if len(trusted) else None


def _rounded(roi: Box) -> list[float]:
    return [round(value, 3) for value in roi]


def _plain_joints(keypoints: NDArray[np.float32]) -> list[list[float | None]]:
    return [
        [_number(x), _number(y), round(score, 4) if np.isfinite(score) else 0.0]
        for x, y, score in keypoints.astype(float).tolist()
    ]


def _number(value: float) -> float | None:
    return round(value, 3) if np.isfinite(value) else None


class DropReason(TextEnum):
    """Why a frame was dropped."""

    SUPERSEDED = "superseded"
    """A newer frame came before this one's turn."""
    STALE = "stale"
    """It waited too long for its turn."""
    SLOW_CALLBACK = "slow_callback"
    """Its pose was ready, but ``on_result`` was still busy with too many earlier ones."""
    RESET = "reset"
    """The tracker was reset before the frame was done."""
    CLOSED = "closed"
    """The tracker was closed before the frame was done."""


@dataclass(frozen=True, slots=True)
class FrameDrop:
    """A frame that was submitted and has no result.

    Attributes:
        frame_id: what ``submit()`` returned.
        timestamp_ms: when the frame was taken.
        reason: why it was dropped.
    """

    frame_id: int
    timestamp_ms: float
    reason: DropReason


@dataclass(frozen=True, slots=True, eq=False)
class TrackingFailure:
    """An error that could not be raised to a caller.

    Attributes:
        error: what was raised.
        frame_id: the frame that it cost; ``None`` if it cost none.
        timestamp_ms: when that frame was taken, ``None`` if there is no frame or no valid time.
        callback: the callback that raised it, such as ``"on_result"``; ``None`` if it was not one.
    """

    error: Exception
    frame_id: int | None = None
    timestamp_ms: float | None = None
    callback: str | None = None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """There will be no more frames, and all were reported.

    Attributes:
        error: why the source ended, ``None`` if it simply did.
    """

    error: Exception | None = None


#: Anything that is delivered to a callback.
Notification = PoseResult | FrameDrop | TrackingFailure | StreamEvent | StreamEnd
