"""Which detected box is which person, who may be new, and who is followed twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgepose.inference.person_detector import box_region
from edgepose.people.association import assign, pose_similarities
from edgepose.people.motion import distances
from edgepose.people.person import FollowedPerson, SeenPose, Status
from edgepose_runtime.geometry.boxes import Boxes, areas, box_overlaps, intersections
from edgepose_runtime.geometry.roi import Roi

#: Boxes of a lower score are not looked at: a person who is followed may be hard to see.
LOW_SCORE = 0.25
#: A person who is followed is where a box overlaps the expected one by so much at least.
LEAST_OVERLAP = 0.25
#: A pose that overlaps the person's detected box by less than this has drifted off: the region
#: starts from the box again.
LEAST_AGREEMENT = 0.5
#: A box of which so much lies in that of somebody who is followed is no new person.
MOST_COVERED = 0.7
#: A box that the detector is not sure of may show somebody new if it has this score and this height
#: in pixels at least, ...
DOUBTFUL_SCORE, LEAST_HEIGHT = 0.3, 48.0
#: ... and does if the joints of the pose in it have at least this score on average.
SURE_POSE = 0.7
#: So many such boxes are looked at in one round of the detector, at most.
MOST_DOUBTFUL = 3
#: Who was not detected in so many rounds of the detector is no longer followed.
MOST_ROUNDS = 4
#: Boxes have this much in common, as intersection over union, if that matters.
LEAST_SHARED = 0.05
#: Two poses with a similarity of more than this are one person's.
SAME_POSE = 0.5


@dataclass(slots=True)
class Matches:
    """Whose the boxes of a frame are.

    Attributes:
        of_person: index of the box of each person who has one.
        unseen: people who have none.
        free: indices of boxes that nobody has, and that are not mostly somebody else's, the surest
            first.
    """

    of_person: dict[FollowedPerson, int] = field(default_factory=dict)
    unseen: list[FollowedPerson] = field(default_factory=list)
    free: list[int] = field(default_factory=list)


def match_boxes(people: Sequence[FollowedPerson], boxes: Boxes, timestamp_ms: float) -> Matches:
    """Match people who are followed with detected boxes.

    Args:
        people: everybody who is followed.
        boxes: (N, 5) x1, y1, x2, y2, score.
        timestamp_ms: when they were seen.
    """
    matches = Matches()
    expected = [person.motion.predict(timestamp_ms) for person in people]
    overlaps = box_overlaps(np.array(expected).reshape(-1, 4), boxes)
    costs = np.where(overlaps >= LEAST_OVERLAP, 1 - overlaps, math.inf)
    for row, column in assign(costs):
        matches.of_person[people[row]] = column
    matches.unseen = [each for each in people if each not in matches.of_person]
    places = [
        boxes[matches.of_person[person], :4] if person in matches.of_person else box
        for person, box in zip(people, expected, strict=True)
    ]
    matches.free = _uncovered(boxes, np.array(places).reshape(-1, 4), matches)
    return matches


def given_up(matches: Matches) -> list[FollowedPerson]:
    """Count the rounds in which people were not detected; return those with too many."""
    for person in matches.of_person:
        person.undetected = 0
    for person in matches.unseen:
        person.undetected += 1
    return [
        person
        for person in matches.unseen
        if person.status is Status.TENTATIVE or person.undetected >= MOST_ROUNDS
    ]


def may_show_somebody(boxes: Boxes, sure_score: float) -> NDArray[np.bool_]:
    """Return which (N,) boxes that nobody has are worth a look for somebody new.

    Args:
        boxes: (N, 5), the surest first.
        sure_score: from this score on the detector is sure.
    """
    sure = boxes[:, 4] >= sure_score
    doubtful = ~sure & (boxes[:, 4] >= DOUBTFUL_SCORE)
    doubtful &= boxes[:, 3] - boxes[:, 1] >= LEAST_HEIGHT
    return np.asarray(sure | (doubtful & (np.cumsum(doubtful) <= MOST_DOUBTFUL)))


def is_somebody(newcomer: FollowedPerson, seen: SeenPose, sure_score: float) -> bool:
    """Return whether a person who was just detected is there, by the detector or the pose.

    Args:
        newcomer: has no identity yet.
        seen: the pose.
        sure_score: from this score on the detector is sure.
    """
    is_worthy = newcomer.detected >= DOUBTFUL_SCORE and newcomer.motion.height >= LEAST_HEIGHT
    is_sure = newcomer.detected >= sure_score
    return is_sure or (is_worthy and float(seen.keypoints[:, 2].mean()) >= SURE_POSE)


def duplicates(
    seen: Sequence[tuple[FollowedPerson, SeenPose]], timestamp_ms: float
) -> list[tuple[FollowedPerson, FollowedPerson]]:
    """Return pairs (who stays, who is hidden) of people whose poses are one person's.

    The pose belongs to whom it continues better; a person without an identity yields.

    Args:
        seen: everybody's pose in the frame.
        timestamp_ms: when it was taken.
    """
    if len(seen) < 2:
        return []
    boxes = np.stack([pose.box for _, pose in seen])
    close = np.triu(box_overlaps(boxes, boxes), 1) > LEAST_OVERLAP
    if not close.any():
        return []
    poses = np.stack([pose.keypoints for _, pose in seen])
    alike = pose_similarities(poses, poses, boxes)
    alike = np.where(close, np.maximum(alike, alike.T), 0)
    worst_first = [_discontinuity(person, pose, timestamp_ms) for person, pose in seen]
    pairs: dict[int, int] = {}
    for flat in np.argsort(-alike, axis=None).tolist():
        pair = divmod(flat, len(seen))
        if alike[pair] < SAME_POSE:
            break
        if not pairs.keys() & set(pair):
            stays, goes = sorted(pair, key=worst_first.__getitem__)
            pairs[goes] = stays
    return [(seen[stays][0], seen[goes][0]) for goes, stays in pairs.items()]


def overlapping(boxes: Boxes) -> NDArray[np.bool_]:
    """Return which (N,) of the boxes (N, 4) have an area that matters in common with another."""
    overlaps = box_overlaps(boxes, boxes)
    np.fill_diagonal(overlaps, 0)
    return np.asarray((overlaps > LEAST_SHARED).any(axis=1))


def crowded(people: Sequence[FollowedPerson], timestamp_ms: float) -> set[FollowedPerson]:
    """Return the people who should be so close to another that their joints may be mistaken.

    Args:
        people: all who are seen or hidden.
        timestamp_ms: the present.
    """
    boxes = np.array([person.motion.predict(timestamp_ms) for person in people]).reshape(-1, 4)
    return {people[index] for index in np.flatnonzero(overlapping(boxes)).tolist()}


def corrected_region(person: FollowedPerson, box: Boxes, timestamp_ms: float) -> Roi | None:
    """Return the region of a person's box; ``None`` if the person's own is as good."""
    expected = person.motion.predict(timestamp_ms)
    agrees = box_overlaps(expected[None], box[None])[0, 0] >= LEAST_AGREEMENT
    return None if agrees and person.stream.next_roi is not None else box_region(box)


def _uncovered(boxes: Boxes, occupied: Boxes, matches: Matches) -> list[int]:
    """Return the boxes that nobody has and that are not mostly somebody else's, surest first."""
    taken = set(matches.of_person.values())
    sizes = np.maximum(areas(boxes), 1e-9)[:, None]
    covered = (intersections(boxes, occupied) / sizes).max(axis=1, initial=0)
    return [i for i in range(len(boxes)) if i not in taken and covered[i] <= MOST_COVERED]


def _discontinuity(
    person: FollowedPerson, seen: SeenPose, timestamp_ms: float
) -> tuple[bool, float]:
    """Return how badly a pose continues a person: the smaller, the better."""
    expected = person.motion.predict(timestamp_ms)
    apart = float(distances(expected[None], seen.box[None])[0, 0])
    return person.person_id is None, apart
