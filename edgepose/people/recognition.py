"""Who is who by pose, motion and looks: people who come back, and people who were mixed up."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

import numpy as np

from edgepose.people.appearance import Description, difference
from edgepose.people.association import Floats, assign
from edgepose.people.motion import PersonMotion, distances, reach
from edgepose.people.person import FollowedPerson, SeenPose
from edgepose_runtime.geometry.boxes import Boxes, box_overlaps

#: People whose boxes overlap by less than this are seen apart from each other.
ALONE = 0.1
#: A hidden or lost person's box has a height of so many times the expected one, or the inverse.
MOST_GROWTH = 1.7
#: Who was lost looks at most so differently, from 0 to 1.
MOST_DIFFERENT = 0.6
#: What a full difference of the looks costs beside the longest way a person may have gone.
LOOKS_WEIGHT = 2.0
#: A moment after being lost it may be so much more; time constant with which that ends, in ms.
LENIENCE, LENIENT_MS = 0.35, 700.0
#: By so much two people's looks and ways must speak for it before their identities are exchanged.
SWAP_MARGIN = 0.15
#: What the motion counts beside the looks where identities may have been exchanged.
MOTION_WEIGHT = 0.3

Seen = Mapping[FollowedPerson, SeenPose]
Looks = Mapping[FollowedPerson, Description | None]


def may_return(person: FollowedPerson, box: Boxes, timestamp_ms: float) -> bool:
    """Return whether a hidden or lost person may be in a box (4 or more,), by place and size."""
    return _way(person.motion, box, timestamp_ms) <= 1


def recognise(
    newcomers: Sequence[FollowedPerson],
    away: Sequence[FollowedPerson],
    seen: Seen,
    looks: Looks,
    timestamp_ms: float,
) -> list[tuple[FollowedPerson, FollowedPerson]]:
    """Return pairs (newcomer, who it is) of people who come back.

    Args:
        newcomers: people who were just detected, with a pose each.
        away: hidden and lost people.
        seen: the poses of newcomers.
        looks: of newcomers.
        timestamp_ms: when they were seen.
    """
    costs = np.full((len(newcomers), len(away)), math.inf)
    for row, newcomer in enumerate(newcomers):
        for column, person in enumerate(away):
            way = _way(person.motion, seen[newcomer].box, timestamp_ms)
            if way > 1:
                continue
            newcomer.touch(person)
            differs = difference(person.known.looks, looks.get(newcomer))
            if differs <= _most_different(timestamp_ms - person.motion.seen_ms):
                costs[row, column] = way + LOOKS_WEIGHT * differs
    return [(newcomers[row], away[column]) for row, column in assign(costs)]


def _most_different(elapsed_ms: float) -> float:
    """Return how differently somebody may look who comes back after so long.

    Who was away for a moment only may still be half hidden, and the place says more.
    """
    return MOST_DIFFERENT + LENIENCE * math.exp(-elapsed_ms / LENIENT_MS)


def mixed_up(
    seen: Seen, looks: Looks, timestamp_ms: float
) -> list[tuple[FollowedPerson, FollowedPerson]]:
    """Return pairs (who is seen, who it really is) where people in contact were exchanged.

    Args:
        seen: poses of people who are seen apart from others.
        looks: of all of these that have been in contact with others.
        timestamp_ms: when they were seen.
    """
    exchanged: list[tuple[FollowedPerson, FollowedPerson]] = []
    done: set[FollowedPerson] = set()
    for person in looks:
        if person in done or not person.contacts:
            continue
        group = _group(person)
        done.update(group)
        apart = [each for each in group if each in looks]
        costs = _exchange_costs(group, apart, seen, looks, timestamp_ms)
        own = sum(costs[group.index(each), column] for column, each in enumerate(apart))
        pairs = assign(costs)
        for each, other in combinations(apart, 2):
            each.part(other)
        if sum(costs[pair] for pair in pairs) + SWAP_MARGIN < own:
            exchanged += [(apart[column], group[row]) for row, column in pairs]
    return [(person, is_really) for person, is_really in exchanged if person is not is_really]


def reassign(pairs: Sequence[tuple[FollowedPerson, FollowedPerson]]) -> None:
    """Give people their identities back, for pairs (who is seen, who it really is)."""
    tracks, owners = [track for track, _ in pairs], [owner for _, owner in pairs]
    left = [track.known for track in tracks if track not in owners]
    known = [owner.known for owner in owners]
    for track, identity in zip(tracks, known, strict=True):
        track.known = identity
    for owner in owners:
        if owner not in tracks:
            owner.known = left.pop()


def touch(seen: Seen, hidden: Sequence[FollowedPerson] = (), timestamp_ms: float = 0.0) -> None:
    """Take in who is close to whom, and who of those who are seen is apart from all others.

    Args:
        seen: everybody's pose in the frame.
        hidden: people who are not seen; whoever is where they should be may be one of them.
        timestamp_ms: of the frame.
    """
    people = [*seen, *hidden]
    expected = [person.motion.predict(timestamp_ms) for person in hidden]
    boxes = np.array([*(pose.box for pose in seen.values()), *expected]).reshape(-1, 4)
    close = box_overlaps(boxes[: len(seen)], boxes) >= ALONE
    np.fill_diagonal(close, 0)
    for person, others in zip(seen, close, strict=True):
        person.apart = 0 if others[: len(seen)].any() else person.apart + 1
        for index in np.flatnonzero(others):
            person.touch(people[index])


def _group(person: FollowedPerson) -> list[FollowedPerson]:
    """Return everybody whom a person was in contact with, directly or through others."""
    group = [person]
    for member in group:
        group += [each for each in member.contacts if each not in group]
    return group


def _exchange_costs(
    group: Sequence[FollowedPerson],
    apart: Sequence[FollowedPerson],
    seen: Seen,
    looks: Looks,
    timestamp_ms: float,
) -> Floats:
    """Return the costs (P, Q) of those in a group being those who are seen apart."""
    costs = np.zeros((len(group), len(apart)))
    for row, owner in enumerate(group):
        motion = owner.known.motion or owner.motion
        for column, person in enumerate(apart):
            way = min(_way(motion, seen[person].box, timestamp_ms), 1.0)
            differs = difference(owner.known.looks, looks[person])
            costs[row, column] = differs + MOTION_WEIGHT * way
    return costs


def _way(motion: PersonMotion, box: Boxes, timestamp_ms: float) -> float:
    """Return how far a box is from where a person should be, in parts of the longest way.

    It is infinite if the size does not fit.
    """
    expected = motion.predict(timestamp_ms)[None]
    heights = [max(float(each[3] - each[1]), 1.0) for each in (expected[0], box)]
    if abs(math.log(heights[0] / heights[1])) > math.log(MOST_GROWTH):
        return math.inf
    apart = float(distances(expected, box[None])[0, 0])
    return apart / reach(timestamp_ms - motion.seen_ms)
