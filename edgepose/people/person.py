"""One person who is followed: the pose, where it moves, what the person looks like."""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.estimator import Keypoints, StageClock
from edgepose.inference.person_detector import box_region
from edgepose.people.identities import Known
from edgepose.people.motion import PersonMotion, pose_box
from edgepose.refinement.people import RefinablePose
from edgepose.results import Origin, Person, PersonState, PoseResult
from edgepose.tracking.deadline import Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.strategies import PendingFrame, Refiner, TrackedFrame
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.text_enum import TextEnum

#: From this distance on, in heights of the box, the region of a person whom the networks skipped is
#: moved to where the person should be.
NOTABLE_MOVE = 0.08
#: Where the model's method runs the head again at all: every so many frames for people whose boxes
#: are lower than so many pixels, or who may be mistaken for somebody else; for others as often as
#: the bundle recommends.
HEAD_EVERY, SMALL = 3, 120.0
#: For so many frames somebody must be apart from others before it is decided who is who.
APART_FRAMES = 2

#: What follows a person's pose, and what refines it; ``None`` for nothing.
PersonTrack = tuple[PoseStream, Refiner | None]


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


class FollowedPerson:
    """The state of one person. Not locked.

    Attributes:
        stream: follows the person's pose.
        refiner: improves it; ``None`` for nothing.
        known: who it is.
        status: see :class:`Status`.
        motion: where the person is and moves.
        undetected: rounds of the detector in a row that did not see the person.
        skipped: frames since the networks processed the person.
        detected: score of the detection that found the person.
        contacts: people who have been so close since both were last told apart that the identities
            may have been exchanged.
        apart: frames in a row in which the person was seen alone.
        pose: in the present frame; ``None`` while tentative or lost.
        result: of the stream, that the pose is from; ``None`` where the person was not seen.

    Args:
        track: stream and refiner.
        box: (5,) x1, y1, x2, y2, score: where the person was detected.
        frame: in which.
        reruns_head: the head runs again and again, not only at the start of a track.
    """

    def __init__(
        self,
        track: PersonTrack,
        box: NDArray[np.float64],
        frame: Frame,
        reruns_head: bool = False,
    ) -> None:
        self.stream, self.refiner = track
        self._reruns_head = reruns_head
        self.known = Known()
        self.status = Status.TENTATIVE
        self.motion = PersonMotion(box[:4], frame.timestamp_ms)
        self.undetected = 0
        self.skipped = 0
        self.detected = float(box[4])
        self.contacts: set[FollowedPerson] = set()
        self.apart = 0
        self.pose: Person | None = None
        self.result: PoseResult | None = None
        self._seen: Person | None = None
        self._seen_ms = frame.timestamp_ms
        self._seen_at = _centre(box)

    @property
    def person_id(self) -> int | None:
        """The identity; ``None`` while tentative."""
        return self.known.person_id

    @property
    def is_apart(self) -> bool:
        """Whether the person can be described; the first look may be a quick one."""
        return self.apart >= (APART_FRAMES if self.known.looks is not None else 1)

    @property
    def is_followed(self) -> bool:
        """Whether the networks process the person in every frame, unless told to skip some."""
        return self.status in (Status.TENTATIVE, Status.TRACKED)

    def needs_head(self, region: Roi | None, *, crowded: bool) -> bool:
        """Return whether the head will process the person, as far as is known before."""
        if not self._continues(region):
            return self.stream.head_is_due
        return self._effort(crowded=crowded) is Effort.HEAD

    def begin(
        self,
        frame: Frame,
        region: Roi | None,
        clock: StageClock,
        effort: Effort,
        *,
        crowded: bool = False,
    ) -> PendingFrame:
        """Find out where the networks have to look for the person in the next frame.

        Args:
            frame: the frame, without a roi.
            region: where the person is; ``None`` to go on from the last pose.
            clock: times the stages.
            effort: ``SKIP`` to predict the pose.
            crowded: somebody else is so close that the pose may become theirs.
        """
        if effort is not Effort.SKIP:
            if self._continues(region):
                effort = self._effort(crowded=crowded)
            region = region or self._region(frame, crowded=crowded)
            frame = frame if region is None else replace(frame, roi=region)
        return self.stream.begin(frame, clock, effort)

    def finish(
        self, begun: PendingFrame, region: Roi | None, clock: StageClock, *, crowded: bool = False
    ) -> SeenPose | None:
        """Return the person's pose in a frame that was begun alike; ``None`` if there is none."""
        is_guess = begun.effort is Effort.SKIP
        checked = crowded and not is_guess and self._continues(region)
        result = self.stream.finish(begun, clock)
        if result.keypoints is None:
            return None
        box, at_ms = pose_box(result.keypoints), result.timestamp_ms
        if box is None or (checked and not self.motion.can_continue_to(box, at_ms)):
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
            self.result = seen.result
            self.pose = self._seen = _tracked(self.person_id, seen.result)

    def refinable(self, frame: Frame) -> RefinablePose | None:
        """Return the pose in the last frame, to be refined; ``None`` if there is none."""
        refiner, pose, result = self.refiner, self.pose, self.result
        if refiner is None or pose is None or result is None or result.frame_id != frame.frame_id:
            return None
        tracked = TrackedFrame(frame.image, result, self.stream.last_observation)
        return RefinablePose(pose.person_id, refiner, tracked)

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
        self.status = Status.TRACKED
        self.stream, self.refiner = newcomer.stream, newcomer.refiner
        for other in newcomer.contacts - {self}:
            self.touch(other)
        self.undetected = self.skipped = 0

    def predict(self, timestamp_ms: float, predict_ms: float, frame_size: tuple[int, int]) -> None:
        """Predict the pose of a hidden person.

        The person is lost if that has lasted too long, or if the pose would leave the frame.
        """
        self.pose = self.result = None
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

    def _continues(self, region: Roi | None) -> bool:
        """Return whether the pose goes on from the last one."""
        return region is None and self.stream.head_age is not None

    def _effort(self, *, crowded: bool) -> Effort:
        """Return the network that looks at the person, who was seen in the last frame.

        The head, where it is to run again: often if the person is small or may be mistaken for
        somebody else, and always in a crowd, where what is propagated may be somebody else's.
        Otherwise the light network alone: where that loses the person, the head would only find
        who stands in front.
        """
        age = self.stream.head_age
        if age is None:
            return Effort.LIGHT
        often = self.motion.height < SMALL or bool(self.contacts)
        is_due = self._reruns_head and (crowded or (often and age + 1 >= HEAD_EVERY))
        return Effort.HEAD if is_due or self.stream.head_is_due else Effort.LIGHT

    def _region(self, frame: Frame, *, crowded: bool) -> Roi | None:
        """Return where to look; ``None`` where the last pose says it as well.

        In a crowd that is where the person should be, in the usual size: the last joints may be
        partly somebody else's. After frames without a look it is moved along with the person, and
        without any look so far it is where the person was detected.
        """
        roi = self.stream.next_roi
        if roi is None or (crowded and self._reruns_head):
            return box_region(self.motion.predict(frame.timestamp_ms))
        if not self.skipped:
            return None
        x, y = self.motion.moved(frame.timestamp_ms).tolist()
        if max(abs(x), abs(y)) < NOTABLE_MOVE * self.motion.height:
            return None
        return Roi(roi.x + x, roi.y + y, roi.width, roi.height)


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
