"""Which detected box is which person, who is new, and who is followed twice."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edgepose.inference.estimator import Image
from edgepose.people.appearance import Description, describe, difference
from edgepose.people.association import (
    Boxes,
    Floats,
    areas,
    assign,
    box_overlaps,
    intersections,
    pose_similarities,
)
from edgepose.people.motion import distances, reach
from edgepose.people.person import FollowedPerson, SeenPose, Status

#: Boxes of a lower score are not looked at: a person who is followed may be hard to see.
LOW_SCORE = 0.25
#: A person who is followed is where a box overlaps the expected one by so much at least.
LEAST_OVERLAP = 0.25
#: A hidden or lost person's box has a height of so many times the expected one, or the inverse.
MOST_GROWTH = 1.7
#: Who was lost looks at most so differently, from 0 to 1.
MOST_DIFFERENT = 0.6
#: A box of which so much lies in that of somebody who is followed is no new person.
MOST_COVERED = 0.7
#: Two poses with a similarity of more than this are one person's.
SAME_POSE = 0.5
#: By so much the colours must speak for exchanging two people who were hidden behind each other.
SWAP_MARGIN = 0.12
#: What a full difference of the looks costs beside a missing overlap of the boxes.
LOOKS_WEIGHT = 0.5
#: What it costs that a person was hidden: whom the pose follows comes first.
HIDDEN_COST = 0.1

Looks = Sequence[Description | None]


@dataclass(slots=True)
class Matches:
    """Whose the boxes of a frame are.

    Attributes:
        of_person: index of the box of each person who has one.
        unseen: people who are followed and have none.
        new: indices of boxes that nobody has, the surest first.
    """

    of_person: dict[FollowedPerson, int] = field(default_factory=dict)
    unseen: list[FollowedPerson] = field(default_factory=list)
    new: list[int] = field(default_factory=list)


def match_boxes(
    people: Sequence[FollowedPerson],
    boxes: Boxes,
    image: Image,
    timestamp_ms: float,
    threshold: float,
) -> Matches:
    """Match the people that are known with detected boxes.

    Args:
        people: everybody who is followed, hidden or lost.
        boxes: (N, 5) x1, y1, x2, y2, score.
        image: the frame.
        timestamp_ms: when it was taken.
        threshold: from this score on a box may be somebody new.
    """
    matches = Matches()
    looks = [describe(image, box[:4]) for box in boxes]
    near = [person for person in people if person.status is not Status.LOST]
    expected = _expected(near, timestamp_ms)
    for row, column in assign(_overlap_costs(near, expected, boxes, looks)):
        matches.of_person[near[row]] = column
    matches.unseen = [each for each in near if each.is_followed and each not in matches.of_person]
    free = _uncovered(boxes, _occupied(near, expected, matches, boxes), matches)
    away = [each for each in people if not (each.is_followed or each in matches.of_person)]
    costs = _return_costs(away, boxes[free], [looks[i] for i in free], timestamp_ms)
    for row, column in assign(costs):
        matches.of_person[away[row]] = free[column]
    taken = set(matches.of_person.values())
    matches.new = [i for i in free if i not in taken and boxes[i, 4] >= threshold]
    _undo_swaps(matches, looks)
    return matches


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


def overlapping(boxes: Boxes) -> bool:
    """Whether any two boxes (N, 4) have an area in common that matters."""
    return len(boxes) > 1 and bool((np.triu(box_overlaps(boxes, boxes), 1) > 0.05).any())


def _expected(people: Sequence[FollowedPerson], timestamp_ms: float) -> Boxes:
    return np.array([person.motion.predict(timestamp_ms) for person in people]).reshape(-1, 4)


def _overlap_costs(
    people: Sequence[FollowedPerson], expected: Boxes, boxes: Boxes, looks: Looks
) -> Floats:
    """Return the costs (P, Q) of people being in boxes, by their place and by their looks."""
    overlaps = box_overlaps(expected, boxes)
    costs = np.where(overlaps >= LEAST_OVERLAP, 1 - overlaps, math.inf)
    # Colours are compared only where more than one pair is possible: that is rare.
    contested = np.isfinite(costs)
    contested &= (contested.sum(axis=0) > 1)[None] | (contested.sum(axis=1) > 1)[:, None]
    for row, column in np.argwhere(contested).tolist():
        differs = difference(people[row].appearance, looks[column])
        costs[row, column] += LOOKS_WEIGHT * differs
    costs[[not person.is_followed for person in people]] += HIDDEN_COST
    return costs


def _occupied(
    near: Sequence[FollowedPerson], expected: Boxes, matches: Matches, boxes: Boxes
) -> Boxes:
    """Return where the people who are followed are: the box of each, else the expected one."""
    places = [
        boxes[matches.of_person[person], :4] if person in matches.of_person else box
        for person, box in zip(near, expected, strict=True)
        if person.is_followed or person in matches.of_person
    ]
    return np.array(places).reshape(-1, 4)


def _uncovered(boxes: Boxes, occupied: Boxes, matches: Matches) -> list[int]:
    """Return the boxes that nobody has and that are not mostly somebody else's, surest first."""
    taken = set(matches.of_person.values())
    sizes = np.maximum(areas(boxes), 1e-9)[:, None]
    covered = (intersections(boxes, occupied) / sizes).max(axis=1, initial=0)
    return [i for i in range(len(boxes)) if i not in taken and covered[i] <= MOST_COVERED]


def _return_costs(
    away: Sequence[FollowedPerson], boxes: Boxes, looks: Looks, timestamp_ms: float
) -> Floats:
    """Return the costs (P, Q) of hidden and lost people being those in boxes."""
    costs = np.full((len(away), len(boxes)), math.inf)
    if not costs.size:
        return costs
    expected = _expected(away, timestamp_ms)
    apart = distances(expected, boxes)
    grown = np.abs(np.log((boxes[:, 3] - boxes[:, 1])[None] / _heights(expected)[:, None]))
    for row, person in enumerate(away):
        most = reach(timestamp_ms - person.motion.seen_ms)
        for column, look in enumerate(looks):
            differs = difference(person.appearance, look)
            near = apart[row, column] <= most and grown[row, column] <= math.log(MOST_GROWTH)
            if near and differs <= MOST_DIFFERENT:
                costs[row, column] = apart[row, column] / most + 2 * differs
    return costs


def _heights(boxes: Boxes) -> Floats:
    return np.asarray(np.maximum(boxes[:, 3] - boxes[:, 1], 1.0), np.float64)


def _undo_swaps(matches: Matches, looks: Looks) -> None:
    """Exchange the boxes of people who are seen apart again, where their colours say so."""
    for person in list(matches.of_person):
        other = person.behind
        if person.is_followed or other is None or other not in matches.of_person:
            continue
        mine, theirs = (looks[matches.of_person[each]] for each in (person, other))
        straight = difference(person.appearance, mine) + difference(other.appearance, theirs)
        crossed = difference(person.appearance, theirs) + difference(other.appearance, mine)
        if crossed + SWAP_MARGIN < straight:
            person.exchange(other)


def _discontinuity(
    person: FollowedPerson, seen: SeenPose, timestamp_ms: float
) -> tuple[bool, float]:
    """Return how badly a pose continues a person: the smaller, the better."""
    expected = person.motion.predict(timestamp_ms)
    apart = float(distances(expected[None], seen.box[None])[0, 0])
    return person.person_id is None, apart
