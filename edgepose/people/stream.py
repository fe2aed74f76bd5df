"""One stream with several people: who is there, whose pose is estimated, and who is who."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from edgepose.inference.estimator import StageClock
from edgepose.inference.looks import JointLooks
from edgepose.inference.person_detector import PersonDetector, box_region
from edgepose.people.appearance import AppearanceDescriber
from edgepose.people.identities import Identities
from edgepose.people.matching import (
    LOW_SCORE,
    corrected_region,
    crowded,
    duplicates,
    given_up,
    is_somebody,
    match_boxes,
    may_show_somebody,
)
from edgepose.people.person import FollowedPerson, PersonTrack, SeenPose, Status
from edgepose.people.recognition import Seen, may_return, mixed_up, reassign, recognise, touch
from edgepose.people.schedule import UNBOUNDED, Allowance, DetectionSchedule, is_urgent, whose_turn
from edgepose.people.settings import SeveralPeople
from edgepose.refinement.people import RefinablePose
from edgepose.results import Person
from edgepose.tracking.deadline import Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.strategies import PendingFrame
from edgepose_runtime.errors import RoiError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.boxes import Boxes
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import Skeleton

#: So many lost people are remembered, those who were lost last.
MOST_LOST = 100
#: Lost people are recognised in boxes from this score on, hidden ones in all.
RETURN_SCORE = 0.4


class PeopleStream:
    """Follows several people through one stream. Not for several threads at once.

    Each person has the state of a stream of one person, without its search: the detector does it.

    Attributes:
        looked: how many people the networks processed in the last frame, if it was a key frame.
        heads: for how many of them the head was to run.

    Args:
        detector: finds people in whole frames.
        settings: how many people, and at what cost.
        new_track: makes the state of one person, on shared networks, and what refines the poses.
        skeleton: of the poses.
        joint_looks: runs the light network on all people at once.
        reruns_head: the head runs again and again, not only at the start of a track.
    """

    def __init__(
        self,
        detector: PersonDetector,
        settings: SeveralPeople,
        new_track: Callable[[], PersonTrack],
        skeleton: Skeleton,
        joint_looks: JointLooks,
        *,
        reruns_head: bool = False,
    ) -> None:
        self._detector = detector
        self._joint_looks = joint_looks
        self._reruns_head = reruns_head
        self._describe = AppearanceDescriber(skeleton).describe
        self._settings = settings
        self._new_track = new_track
        self._warm, self._warm_refiner = new_track()
        self._schedule = DetectionSchedule(settings.detect_every_ms)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; identities begin with 1 again."""
        self.looked = self.heads = 0
        self._people: list[FollowedPerson] = []
        self._identities = Identities()
        self._frame_size: tuple[int, int] | None = None
        self._schedule.reset()

    def warmup(self) -> None:
        """Run every network and kernel once."""
        self._warm.warmup()
        if self._warm_refiner is not None:
            self._warm_refiner.warmup()
        self._detector.warmup()

    @property
    def next_identity(self) -> int:
        """The identity of whoever enters next."""
        return self._identities.next

    def take_events(self) -> list[StreamEvent]:
        """Return what happened to people since the last call."""
        return self._identities.take_events()

    def detects(self, timestamp_ms: float) -> bool:
        """Whether the detector runs on a frame with this timestamp."""
        return self._schedule.is_due(timestamp_ms, lambda: is_urgent(self._people))

    @property
    def frame_size(self) -> tuple[int, int]:
        """(width, height) of the last frame; (1, 1) before the first."""
        return self._frame_size or (1, 1)

    def process(
        self, frame: Frame, clock: StageClock, allowance: Allowance = UNBOUNDED
    ) -> list[Person]:
        """Return everybody in the next frame, in the order of their identities.

        Args:
            frame: after the frame before, without a roi.
            clock: times the stages.
            allowance: what the networks may do.

        Raises:
            RoiError: the frame has a roi.
            InferenceError: a network failed.
        """
        if frame.roi is not None:
            raise RoiError(
                "A roi says where one person is, but this tracker follows several people; leave "
                "roi out, or make a PoseTracker with max_people=1."
            )
        self._adapt(frame)
        detects = self.detects(frame.timestamp_ms)
        regions = self._detect(frame, clock) if detects else {}
        seen = self._look(frame, regions, clock, allowance)
        start = time.perf_counter()
        self._take_in(frame, seen, detected=detects)
        self._schedule.passed(frame.timestamp_ms, detected=detects)
        clock.add("follow", start)
        people = [person.pose for person in self._people if person.pose is not None]
        return sorted(people, key=lambda person: person.person_id)

    @property
    def head_ages_ms(self) -> dict[int, float | None]:
        """How old a remote head's last answer is, in ms, by the identity of who was seen."""
        return {
            person.pose.person_id: person.result.head_age_ms
            for person in self._people
            if person.pose is not None and person.result is not None
        }

    def refinable(self, frame: Frame) -> list[RefinablePose]:
        """Return the poses of the frame, the last one, whose people have a refiner."""
        poses = [person.refinable(frame) for person in self._people]
        return [pose for pose in poses if pose is not None]

    def _adapt(self, frame: Frame) -> None:
        """Detect everybody anew after a gap, or in frames of another size."""
        before, self._frame_size = self._frame_size or frame.size, frame.size
        if before == frame.size and not frame.restart:
            return
        self._people = [person for person in self._people if person.person_id is not None]
        for person in self._people:
            person.rescale(frame.size[1] / before[1])
            person.hide()
        self._schedule.reset()

    def _detect(self, frame: Frame, clock: StageClock) -> dict[FollowedPerson, Roi | None]:
        """Run the detector; return those it saw, with their region where it must be corrected."""
        with clock.stage("detect"):
            boxes = self._detector.detect(frame.image, LOW_SCORE)
        start = time.perf_counter()
        followed = [person for person in self._people if person.is_followed]
        matches = match_boxes(followed, boxes, frame.timestamp_ms)
        for person in given_up(matches):
            self._lose(person)
        regions = {
            person: corrected_region(person, boxes[index], frame.timestamp_ms)
            for person, index in matches.of_person.items()
        }
        free = boxes[matches.free]
        promising = may_show_somebody(free, self._detector.score_threshold)
        for box, may_be_new in zip(free, promising, strict=True):
            if (may_be_new and self._free_places() > 0) or self._is_awaited(box, frame):
                person = FollowedPerson(self._new_track(), box, frame, self._reruns_head)
                self._people.append(person)
                regions[person] = box_region(box)
        clock.add("associate", start)
        return regions

    def _is_awaited(self, box: Boxes, frame: Frame) -> bool:
        """Return whether somebody who is away may be in a box that is not sure by itself."""
        lost = box[4] >= RETURN_SCORE and self._free_places() > 0
        return any(
            may_return(person, box, frame.timestamp_ms)
            for person in self._people
            if person.status is Status.HIDDEN or (lost and person.status is Status.LOST)
        )

    def _free_places(self) -> int:
        """Return how many more people may be followed; below 0 while it is open who is new."""
        taken = sum(person.status is not Status.LOST for person in self._people)
        return self._settings.max_people - taken

    def _look(
        self,
        frame: Frame,
        regions: Mapping[FollowedPerson, Roi | None],
        clock: StageClock,
        allowance: Allowance,
    ) -> dict[FollowedPerson, SeenPose]:
        """Estimate the poses of those whose turn it is, and predict the others'."""
        followed = [person for person in self._people if person.is_followed]
        present = [person for person in self._people if person.status is not Status.LOST]
        close = crowded(present, frame.timestamp_ms)
        turn = set(whose_turn(followed, regions, allowance, close))
        seen: dict[FollowedPerson, SeenPose] = {}
        pending: dict[FollowedPerson, PendingFrame] = {}
        for person in followed:
            effort, region = Effort.FULL if person in turn else Effort.SKIP, regions.get(person)
            begun = person.begin(frame, region, clock, effort, crowded=person in close)
            pending[person] = begun
        looks = [begun.look for begun in pending.values() if begun.look is not None]
        self.looked, self.heads = len(turn), sum(look.last is None for look in looks)
        self._joint_looks.observe(frame.image, looks, clock)
        for person, begun in pending.items():
            pose = person.finish(begun, regions.get(person), clock, crowded=person in close)
            if pose is not None:
                seen[person] = pose
            elif person in turn:
                self._lose(person)
            else:
                person.skipped += 1
        return seen

    def _lose(self, person: FollowedPerson) -> None:
        if person.person_id is None:
            self._drop(person)
        else:
            person.hide()

    def _take_in(self, frame: Frame, poses: Seen, *, detected: bool) -> None:
        """Accept the poses of the frame, and find out whose they are."""
        seen = dict(poses)
        for stays, goes in duplicates(list(seen.items()), frame.timestamp_ms):
            del seen[goes]
            if goes.person_id is not None:
                goes.touch(stays)
            self._lose(goes)
        self._admit(frame, seen)
        self._tell_apart(frame, seen, detected=detected)
        for person, pose in seen.items():
            person.accept(pose, frame)
            if person.person_id is not None:
                self._identities.find(person.person_id, frame.timestamp_ms)
        self._age(frame.timestamp_ms)

    def _admit(self, frame: Frame, seen: dict[FollowedPerson, SeenPose]) -> None:
        """Find out who was just detected: somebody who was away, or somebody new."""
        newcomers = [person for person in seen if person.person_id is None]
        if not newcomers:
            return
        away = [
            person
            for person in self._people
            if person.status is Status.HIDDEN
            or (person.status is Status.LOST and self._free_places() >= 0)
        ]
        describe = self._describe
        looks = {each: describe(frame.image, seen[each].keypoints) for each in newcomers}
        for newcomer, person in recognise(newcomers, away, seen, looks, frame.timestamp_ms):
            person.resume(newcomer)
            seen[person] = seen.pop(newcomer)
            self._drop(newcomer)
        sure = self._detector.score_threshold
        for newcomer in [each for each in newcomers if each in seen]:
            if self._free_places() >= 0 and is_somebody(newcomer, seen[newcomer], sure):
                newcomer.enter(self._identities.enter(frame.timestamp_ms))
            else:
                del seen[newcomer]
                self._drop(newcomer)

    def _tell_apart(self, frame: Frame, seen: Seen, *, detected: bool) -> None:
        """Undo exchanges of people who were close to each other, and remember their looks."""
        hidden = [person for person in self._people if person.status is Status.HIDDEN]
        touch(seen, hidden, frame.timestamp_ms)
        looks = {
            person: self._describe(frame.image, pose.keypoints)
            for person, pose in seen.items()
            if person.is_apart and not pose.is_guess and (detected or person.contacts)
        }
        reassign(mixed_up(seen, looks, frame.timestamp_ms))
        for person, description in looks.items():
            if all(other.status is Status.LOST for other in person.contacts):
                person.known.remember(description)

    def _age(self, timestamp_ms: float) -> None:
        """Predict those who are hidden, and give up those who are lost for too long."""
        for person in [person for person in self._people if not person.is_followed]:
            person.predict(timestamp_ms, self._settings.predict_ms, self.frame_size)
            if person.person_id is None:
                raise RuntimeError("A person without an identity was kept when not seen.")
            if person.status is Status.LOST:
                self._identities.lose(person.person_id, timestamp_ms)
            if timestamp_ms - person.motion.seen_ms > 1e3 * self._settings.remember_s:
                self._forget(person, timestamp_ms)
        lost = [person for person in self._people if person.status is Status.LOST]
        for person in sorted(lost, key=lambda person: -person.motion.seen_ms)[MOST_LOST:]:
            self._forget(person, timestamp_ms)

    def _forget(self, person: FollowedPerson, timestamp_ms: float) -> None:
        if person.person_id is not None:
            self._identities.leave(person.person_id, timestamp_ms)
        self._drop(person)

    def _drop(self, person: FollowedPerson) -> None:
        person.part_from_all()
        self._people.remove(person)
