"""One person who is followed: the pose, where it moves, what the person looks like."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Keypoints, StageClock
from edgepose.inference.person_detector import box_region
from edgepose.people.appearance import Description, remembered
from edgepose.people.motion import PersonMotion
from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.tracking.deadline import Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.text_enum import TextEnum

#: Joints from this score on span a person's box.
LEAST_SCORE = 0.2
#: How much the box around joints is enlarged above, below and aside, in parts of its height: it is
#: to be the box that a detector would draw.
ABOVE, BELOW, ASIDE = 0.12, 0.10, 0.06
#: From this distance on, in heights of the box, the region of a person whom the networks skipped is
#: moved to where the person should be.
NOTABLE_MOVE = 0.08
#: The head looks at somebody every so many frames, where the model's method runs it again at all.
HEAD_EVERY = 3


class Status(TextEnum):
    """How sure it is that a person is there."""

    TENTATIVE = "tentative"
    """Just detected: it is a person if the networks see a pose."""
    TRACKED = "tracked"
    """Followed by the pose."""
    HIDDEN = "hidden"
    """Not seen since a moment ago; the pose is predicted."""
    LOST = "lost"
    """Not seen for longer; waited for, without a pose."""


@dataclass(frozen=True, slots=True, eq=False)
class SeenPose:
    """A person's pose in the present frame, not accepted yet.

    Attributes:
        result: of the person's stream.
        keypoints: float32 (K, 3).
        box: float64 (4,) x1, y1, x2, y2.
        is_guess: it was extrapolated, without a look at the frame.
    """

    result: PoseResult
    keypoints: Keypoints
    box: NDArray[np.float64]
    is_guess: bool


@dataclass(slots=True)
class Known:
    """What is known of somebody, wherever they are.

    Attributes:
        person_id: the identity; ``None`` while tentative.
        looks: the colours of the person's clothes; ``None`` if never seen apart from others.
        motion: how the person moved when last seen apart from others; ``None`` if never.
    """

    person_id: int | None = None
    looks: Description | None = None
    motion: PersonMotion | None = None
    _count: int = field(default=0, init=False)

    def remember(self, looks: Description | None) -> None:
        """Take in what the person looks like; nothing for ``None``: no part was seen."""
        if looks is None:
            return
        self._count += 1
        self.looks = remembered(self.looks, looks, self._count)


class FollowedPerson:
    """The state of one person. Not locked.

    Attributes:
        known: who it is.
        status: see :class:`Status`.
        motion: where the person is and moves.
        undetected: rounds of the detector in a row that did not see the person.
        skipped: frames since the networks processed the person.
        is_sure: the detection that found the person was sure enough for somebody new.
        contacts: people who have been so close since both were last told apart that the identities
            may have been exchanged.
        apart: frames in a row in which the person was seen alone.
        pose: in the present frame; ``None`` while tentative or lost.

    Args:
        stream: follows the person's pose.
        box: (4,) where the person was detected.
        frame: in which.
        reruns_head: the head runs again and again, not only at the start of a track.
        is_sure: see above.
    """

    def __init__(
        self,
        stream: PoseStream,
        box: NDArray[np.float64],
        frame: Frame,
        reruns_head: bool = False,
        *,
        is_sure: bool,
    ) -> None:
        self.stream = stream
        self._reruns_head = reruns_head
        self.known = Known()
        self.status = Status.TENTATIVE
        self.motion = PersonMotion(box, frame.timestamp_ms)
        self.undetected = 0
        self.skipped = 0
        self.is_sure = is_sure
        self.contacts: set[FollowedPerson] = set()
        self.apart = 0
        self.pose: Person | None = None
        self._seen: Person | None = None
        self._seen_ms = frame.timestamp_ms
        self._seen_at = _centre(box)

    @property
    def person_id(self) -> int | None:
        """The identity; ``None`` while tentative."""
        return self.known.person_id

    @property
    def is_followed(self) -> bool:
        """Whether the networks process the person in every frame, unless told to skip some."""
        return self.status in (Status.TENTATIVE, Status.TRACKED)

    def look(
        self,
        frame: Frame,
        region: Roi | None,
        clock: StageClock,
        effort: Effort,
        *,
        crowded: bool = False,
    ) -> SeenPose | None:
        """Return the person's pose in the next frame; ``None`` if there is none.

        Args:
            frame: the frame, without a roi.
            region: where the person is; ``None`` to go on from the last pose.
            clock: times the stages.
            effort: ``SKIP`` to predict the pose.
            crowded: somebody else is so close that the pose may become theirs.
        """
        continues = region is None and self.stream.head_age is not None
        if effort is not Effort.SKIP:
            region = region or self._region(frame, crowded=crowded)
            frame = frame if region is None else replace(frame, roi=region)
            effort = self._effort(crowded=crowded) if continues else effort
        result = self.stream.process(frame, clock, effort)
        if result.keypoints is None:
            return None
        box = pose_box(result.keypoints)
        is_guess = effort is Effort.SKIP
        checked = continues and crowded and not is_guess
        if box is None or (checked and not self.motion.can_continue_to(box, frame.timestamp_ms)):
            return None
        return SeenPose(result, result.keypoints, box, is_guess)

    def accept(self, seen: SeenPose, frame: Frame) -> None:
        """Take in the person's pose in a frame."""
        self.skipped = self.skipped + 1 if seen.is_guess else 0
        if not seen.is_guess:
            self.motion.update(seen.box, frame.timestamp_ms)
            self._seen_ms, self._seen_at = frame.timestamp_ms, _centre(seen.box)
            if self.apart and not self.contacts:
                self.known.motion = copy(self.motion)
        if self.person_id is not None:
            self.pose = self._seen = _tracked(self.person_id, seen.result)

    def enter(self, person_id: int) -> None:
        """Take in that the person is somebody new."""
        self.status, self.known = Status.TRACKED, Known(person_id)

    def touch(self, other: FollowedPerson) -> None:
        """Take in that the person is so close to another that they may be mistaken."""
        self.contacts.add(other)
        other.contacts.add(self)

    def part(self, other: FollowedPerson) -> None:
        """Take in that it is clear who of two people is who."""
        self.contacts.discard(other)
        other.contacts.discard(self)

    def part_from_all(self) -> None:
        """Take in that it is clear who the person is."""
        for other in list(self.contacts):
            self.part(other)

    def hide(self) -> None:
        """Take in that the person is not seen any more."""
        self.status, self.apart = Status.HIDDEN, 0
        self.undetected = self.skipped = 0
        self.stream.reset()

    def rescale(self, factor: float) -> None:
        """Take in that the frames have become larger by a factor."""
        self.motion.rescale(factor)
        if self.known.motion is not None:
            self.known.motion.rescale(factor)

    def resume(self, newcomer: FollowedPerson) -> None:
        """Take in that somebody who was just detected is this person."""
        self.status, self.stream = Status.TRACKED, newcomer.stream
        for other in newcomer.contacts - {self}:
            self.touch(other)
        self.undetected = self.skipped = 0

    def predict(self, timestamp_ms: float, predict_ms: float, frame_size: tuple[int, int]) -> None:
        """Predict the pose of a hidden person.

        The person is lost if that has lasted too long, or if the pose would leave the frame.
        """
        self.pose = None
        is_long = timestamp_ms - self._seen_ms > predict_ms
        box = self.motion.predict(timestamp_ms)
        left, top, right, bottom = box.tolist()
        leaves = left < 0 or top < 0 or right > frame_size[0] - 1 or bottom > frame_size[1] - 1
        if is_long or leaves or self._seen is None:
            self.status = Status.LOST
            return
        keypoints = self._seen.keypoints.copy()
        keypoints[:, :2] += _centre(box) - self._seen_at
        self.pose = replace(
            self._seen,
            person_id=self.person_id or self._seen.person_id,
            keypoints=keypoints,
            origin=Origin.PREDICTED,
            state=PersonState.HIDDEN,
        )

    def _effort(self, *, crowded: bool) -> Effort:
        """Return the network that looks at the person, who was seen in the last frame.

        The head, where it is to run again: often, as people are small, and always in a crowd, where
        what is propagated may be somebody else's. Otherwise the light network alone: where that
        loses the person, the head would only find who stands in front.
        """
        age = self.stream.head_age
        if not self._reruns_head or age is None:
            return Effort.LIGHT
        is_due = crowded or age + 1 >= HEAD_EVERY or self.stream.head_is_due
        return Effort.HEAD if is_due else Effort.LIGHT

    def _region(self, frame: Frame, *, crowded: bool) -> Roi | None:
        """Return where to look; ``None`` where the last pose says it as well.

        In a crowd that is where the person should be, in the usual size: the last joints may be
        partly somebody else's. After frames without a look it is moved along with the person.
        """
        roi = self.stream.next_roi
        if roi is None:
            return None
        if crowded and self._reruns_head:
            return box_region(self.motion.predict(frame.timestamp_ms))
        if not self.skipped:
            return None
        x, y = self.motion.moved(frame.timestamp_ms).tolist()
        if max(abs(x), abs(y)) < NOTABLE_MOVE * self.motion.height:
            return None
        return Roi(roi.x + x, roi.y + y, roi.width, roi.height)


def pose_box(keypoints: Keypoints) -> NDArray[np.float64] | None:
    """Return the box (4,) that a detector would draw around a pose (K, 3); ``None`` for none."""
    joints = keypoints[keypoints[:, 2] > LEAST_SCORE, :2].astype(np.float64)
    if len(joints) < 2:
        return None
    (left, top), (right, bottom) = joints.min(axis=0), joints.max(axis=0)
    height = bottom - top
    if not height > 0:
        return None
    aside = ASIDE * height
    return np.array([left - aside, top - ABOVE * height, right + aside, bottom + BELOW * height])


def _centre(box: NDArray[np.float64]) -> NDArray[np.float64]:
    return (box[:2] + box[2:4]) / 2


def _tracked(person_id: int, result: PoseResult) -> Person:
    if result.keypoints is None or result.origin is None or result.roi is None:
        raise RuntimeError("A result without a pose was taken for a person.")
    return Person(
        person_id,
        result.keypoints,
        float(result.keypoints[:, 2].mean()),
        result.origin,
        result.key_frame_age or 0,
        result.roi,
        PersonState.TRACKED,
    )
