"""One stream with several people: who is there, whose pose is estimated, and who is who."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from edgepose.inference.estimator import StageClock
from edgepose.people.association import Boxes, box_overlaps
from edgepose.people.detection import PersonDetector
from edgepose.people.identities import Identities
from edgepose.people.matching import (
    LOW_SCORE,
    Matches,
    duplicates,
    match_boxes,
    overlapping,
)
from edgepose.people.person import FollowedPerson, SeenPose, Status, box_region
from edgepose.people.schedule import DetectionSchedule
from edgepose.people.settings import SeveralPeople
from edgepose.results import Person
from edgepose.tracking.deadline import Effort
from edgepose.tracking.frame import Frame
from edgepose.tracking.stream import PoseStream
from edgepose_runtime.errors import RoiError
from edgepose_runtime.events import StreamEvent
from edgepose_runtime.geometry.roi import Roi

#: A pose that overlaps the person's detected box by less than this has drifted off: the region
#: starts from the box again.
LEAST_AGREEMENT = 0.5
#: Who was not detected in so many rounds of the detector is no longer followed.
MOST_ROUNDS = 4
#: So many lost people are remembered, those who were lost last.
MOST_LOST = 100
#: Colours are taken from people who overlap others by less than this.
ALONE = 0.1


class PeopleStream:
    """Follows several people through one stream. Not for several threads at once.

    Each person has the state of a stream of one person, without its search: the detector says where
    people are.

    Attributes:
        looked: how many people the networks processed in the last frame.

    Args:
        detector: finds people in whole frames.
        settings: how many people, and at what cost.
        new_stream: makes the state of one person, which shares its networks with the others.
    """

    def __init__(
        self,
        detector: PersonDetector,
        settings: SeveralPeople,
        new_stream: Callable[[], PoseStream],
    ) -> None:
        self._detector = detector
        self._settings = settings
        self._new_stream = new_stream
        self._warm = new_stream()
        self._schedule = DetectionSchedule(settings.detect_every_ms)
        self.reset()

    def reset(self) -> None:
        """Forget everybody; identities begin with 1 again."""
        self.looked = 0
        self._people: list[FollowedPerson] = []
        self._identities = Identities()
        self._frame_size: tuple[int, int] | None = None
        self._schedule.reset()

    def warmup(self) -> None:
        """Run every network and kernel once."""
        self._warm.warmup()
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
        return self._schedule.is_due(timestamp_ms, self._is_urgent)

    @property
    def frame_size(self) -> tuple[int, int]:
        """(width, height) of the last frame; (1, 1) before the first."""
        return self._frame_size or (1, 1)

    def process(self, frame: Frame, clock: StageClock, looks: int | None = None) -> list[Person]:
        """Return everybody in the next frame, in the order of their identities.

        Args:
            frame: after the frame before, without a roi.
            clock: times the stages.
            looks: how many people the networks process at most; ``None`` for everybody.

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
        for person in self._people:
            person.box = None
        regions = self._detect(frame, clock) if detects else {}
        seen = self._look(frame, regions, clock, looks)
        start = time.perf_counter()
        self._take_in(frame, seen, regions)
        self._schedule.passed(frame.timestamp_ms, detected=detects)
        clock.add("follow", start)
        people = [person.pose for person in self._people if person.pose is not None]
        return sorted(people, key=lambda person: person.person_id)

    def _adapt(self, frame: Frame) -> None:
        """Detect everybody anew after a gap, or in frames of another size."""
        before, self._frame_size = self._frame_size or frame.size, frame.size
        if before == frame.size and not frame.restart:
            return
        self._people = [person for person in self._people if person.person_id is not None]
        for person in self._people:
            person.motion.rescale(frame.size[1] / before[1])
            person.hide()
        self._schedule.reset()

    def _is_urgent(self) -> bool:
        unsure = (Status.TENTATIVE, Status.HIDDEN)
        if any(person.status in unsure or person.undetected for person in self._people):
            return True
        now = [person.motion.box for person in self._people if person.is_followed]
        return overlapping(np.array(now).reshape(-1, 4))

    def _detect(self, frame: Frame, clock: StageClock) -> dict[FollowedPerson, Roi | None]:
        """Run the detector; return those it saw, with their region where it must be corrected."""
        with clock.stage("detect"):
            boxes = self._detector.detect(frame.image, LOW_SCORE)
        start = time.perf_counter()
        threshold = self._detector.score_threshold
        matches = match_boxes(self._people, boxes, frame.image, frame.timestamp_ms, threshold)
        self._count_unseen(matches)
        regions: dict[FollowedPerson, Roi | None] = {}
        for person, index in matches.of_person.items():
            if person.status is not Status.LOST or self._free_places():
                regions[person] = self._region(person, boxes[index], frame)
        for index in matches.new[: self._free_places()]:
            person = FollowedPerson(self._new_stream(), boxes[index, :4], frame)
            self._people.append(person)
            regions[person] = box_region(boxes[index])
        clock.add("associate", start)
        return regions

    def _free_places(self) -> int:
        taken = sum(person.status is not Status.LOST for person in self._people)
        return max(self._settings.max_people - taken, 0)

    def _count_unseen(self, matches: Matches) -> None:
        for person in matches.unseen:
            person.undetected += 1
            if person.status is Status.TENTATIVE:
                self._people.remove(person)
            elif person.undetected >= MOST_ROUNDS:
                person.hide()

    def _region(self, person: FollowedPerson, box: Boxes, frame: Frame) -> Roi | None:
        """Return the region of a person's box; ``None`` if the person's own is as good."""
        person.box = box[:4]
        if not person.is_followed:
            person.find()
            return box_region(box)
        person.undetected = 0
        expected = person.motion.predict(frame.timestamp_ms)
        agrees = box_overlaps(expected[None], box[None])[0, 0] >= LEAST_AGREEMENT
        return None if agrees and person.stream.next_roi is not None else box_region(box)

    def _look(
        self,
        frame: Frame,
        regions: Mapping[FollowedPerson, Roi | None],
        clock: StageClock,
        looks: int | None,
    ) -> list[tuple[FollowedPerson, SeenPose]]:
        """Estimate the poses of those whose turn it is, and predict the others'."""
        followed = [person for person in self._people if person.is_followed]
        turn = set(self._turn(followed, regions, looks))
        self.looked = len(turn)
        seen = []
        for person in followed:
            looked = person in turn
            effort = Effort.FULL if looked else Effort.SKIP
            pose = person.look(frame, regions.get(person), clock, effort)
            if pose is not None:
                seen.append((person, pose))
            elif looked:
                self._lose(person, frame)
            else:
                person.skipped += 1
        return seen

    def _turn(
        self,
        followed: Sequence[FollowedPerson],
        regions: Mapping[FollowedPerson, Roi | None],
        looks: int | None,
    ) -> Sequence[FollowedPerson]:
        """Return who is processed: those first whose predicted pose would be furthest off."""
        if looks is None or looks >= len(followed):
            return followed
        # Whoever waits longer comes first in the end, however slow: nobody is starved.
        return sorted(
            followed,
            key=lambda person: (
                -(person.skipped + 1) * (1 + min(person.motion.speed, 1.0))
                - (regions.get(person) is not None)
            ),
        )[:looks]

    def _lose(self, person: FollowedPerson, frame: Frame) -> None:
        if person.person_id is None:
            self._people.remove(person)
        else:
            person.stay_hidden(frame)

    def _take_in(
        self,
        frame: Frame,
        seen: Sequence[tuple[FollowedPerson, SeenPose]],
        regions: Mapping[FollowedPerson, Roi | None],
    ) -> None:
        """Accept the poses of the frame, but for those of people who are followed twice."""
        hidden = {goes: stays for stays, goes in self._intruders(seen)}
        hidden |= {goes: stays for stays, goes in duplicates(seen, frame.timestamp_ms)}
        for goes, stays in hidden.items():
            if goes.person_id is None:
                self._people.remove(goes)
            else:
                goes.hide(behind=stays)
        accepted = [(person, pose) for person, pose in seen if person not in hidden]
        for person, pose in accepted:
            if person.person_id is None:
                person.person_id = self._identities.enter(frame.timestamp_ms)
                person.status = Status.TRACKED
            person.accept(pose, frame)
            self._identities.find(person.person_id, frame.timestamp_ms)
        if regions:
            _remember_looks(accepted, frame)
        self._age(frame.timestamp_ms)

    def _intruders(
        self, seen: Sequence[tuple[FollowedPerson, SeenPose]]
    ) -> list[tuple[FollowedPerson, FollowedPerson]]:
        """Return pairs (who stays, who is hidden) of poses in boxes of people without a pose."""
        return [
            (owner, person)
            for owner in self._people
            if not owner.is_followed and owner.box is not None
            for person, pose in seen
            if person.box is None
            and box_overlaps(owner.box[None], pose.box[None])[0, 0] >= LEAST_AGREEMENT
        ]

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
        self._people.remove(person)


def _remember_looks(accepted: Sequence[tuple[FollowedPerson, SeenPose]], frame: Frame) -> None:
    """Remember what those look like who are seen alone."""
    boxes = np.array([pose.box for _, pose in accepted]).reshape(-1, 4)
    overlaps = box_overlaps(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    alone = overlaps.max(axis=1, initial=0) < ALONE
    for (person, pose), is_alone in zip(accepted, alone, strict=True):
        if is_alone:
            person.remember_looks(frame.image, pose.box)
