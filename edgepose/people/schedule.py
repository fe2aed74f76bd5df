"""When the person detector runs, and how many people the pose networks process in a frame."""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from edgepose.people.matching import overlapping
from edgepose.people.person import FollowedPerson, Status
from edgepose.stats import TOTAL
from edgepose.tracking.deadline import Deadline
from edgepose_runtime.geometry.roi import Roi

#: The detector never runs on two frames in a row.
LEAST_FRAMES = 2
#: While people are lost, new or overlap each other it runs so many times as often.
URGENCY = 2.0
#: The weight of the latest frame in what a look is expected to take.
_WEIGHT = 0.2
DETECT, HEAD = "detect", "head"
#: So much of the deadline is planned for: frames differ in what they take.
PLANNED = 0.78


class DetectionSchedule:
    """Decides for each frame whether the detector runs. Not locked.

    Args:
        every_ms: how often at least.
    """

    def __init__(self, every_ms: float) -> None:
        self._every_ms = every_ms
        self.reset()

    def reset(self) -> None:
        """Have the next frame looked at."""
        self._last_ms: float | None = None
        self._frames = 0

    def is_due(self, timestamp_ms: float, urgent: Callable[[], bool]) -> bool:
        """Whether the detector should run on the next frame; asking changes nothing.

        Args:
            timestamp_ms: of the frame.
            urgent: called where it matters: whether people are hidden, or overlap each other.
        """
        if self._last_ms is None:
            return True
        if self._frames + 1 < LEAST_FRAMES:
            return False
        # A hair less: frames do not come to the millisecond.
        passed, interval = timestamp_ms - self._last_ms, 0.95 * self._every_ms
        return passed >= interval or (passed >= interval / URGENCY and urgent())

    def passed(self, timestamp_ms: float, *, detected: bool) -> None:
        """Take in whether the detector ran on a frame."""
        if detected:
            self._last_ms, self._frames = timestamp_ms, 0
        else:
            self._frames += 1


def is_urgent(people: Sequence[FollowedPerson]) -> bool:
    """Return whether it should be found out soon who is where: somebody is unsure, or overlapped.

    Args:
        people: all who are known.
    """
    unsure = (Status.TENTATIVE, Status.HIDDEN)
    if any(person.status in unsure or person.undetected for person in people):
        return True
    now = [person.motion.box for person in people if person.is_followed]
    return bool(overlapping(np.array(now).reshape(-1, 4)).any())


class Allowance(NamedTuple):
    """What the networks may do in a frame.

    Attributes:
        most: people that are processed at most; ``None`` for everybody.
        left_ms: how long that may take. One person is processed even so.
        look_ms: what a person is expected to take.
        head_ms: how much more that is if the head runs.
    """

    most: int | None = None
    left_ms: float = math.inf
    look_ms: float = 0.0
    head_ms: float = 0.0


#: Everybody is processed.
UNBOUNDED = Allowance()


class LookBudget:
    """Bounds the people that are processed per frame. Not locked.

    Args:
        looks_per_frame: how many at most; ``None`` for everybody.
        deadline_ms: what a frame may take, as it is measured; ``None`` for any time. One person
            is processed in each frame even so.

    Raises:
        ConfigError: the deadline is no time above 0.
    """

    def __init__(self, looks_per_frame: int | None, deadline_ms: float | None) -> None:
        self._most = looks_per_frame
        self._deadline = None if deadline_ms is None else Deadline(deadline_ms).deadline_ms
        self._look_ms = self._head_ms = self._detect_ms = 0.0

    def allowance(self, waited_ms: float, *, detects: bool) -> Allowance:
        """Return what the networks may do in the next frame.

        Args:
            waited_ms: how long it has waited already.
            detects: the person detector runs on it.
        """
        if self._deadline is None:
            return Allowance(self._most)
        left = PLANNED * self._deadline - waited_ms - (self._detect_ms if detects else 0.0)
        return Allowance(self._most, left, self._look_ms, self._head_ms)

    def observe(self, latency: Mapping[str, float], looks: int, heads: int) -> None:
        """Take in what a frame took.

        Args:
            latency: ms by stage.
            looks: how many people were processed.
            heads: by the head, how many of them.
        """
        detect, head = latency.get(DETECT, 0.0), latency.get(HEAD, 0.0)
        if detect:
            self._detect_ms = _blended(self._detect_ms, detect)
        if head and heads:
            self._head_ms = _blended(self._head_ms, head / heads)
        if looks:
            self._look_ms = _blended(self._look_ms, (latency[TOTAL] - detect - head) / looks)


def whose_turn(
    followed: Sequence[FollowedPerson],
    regions: Mapping[FollowedPerson, Roi | None],
    allowance: Allowance,
    close: Container[FollowedPerson],
) -> Sequence[FollowedPerson]:
    """Return whom the networks process: those first whose predicted pose would be furthest off.

    Args:
        followed: everybody who is followed.
        regions: of those who were just detected, where it must be corrected.
        allowance: what the networks may do.
        close: people who are close to others.
    """
    most, left, look_ms, head_ms = allowance
    if most is None and left == math.inf:
        return followed
    # Whoever waits longer comes first in the end, however slow: nobody is starved.
    order = sorted(
        followed,
        key=lambda person: (
            -(person.skipped + 1) * (1 + min(person.motion.speed, 1.0))
            - (regions.get(person) is not None)
        ),
    )
    turn: list[FollowedPerson] = []
    for person in order[:most]:
        is_heavy = person.needs_head(regions.get(person), crowded=person in close)
        cost = look_ms + (head_ms if is_heavy else 0.0)
        if not turn or cost <= left:
            turn.append(person)
            left -= cost
    return turn


def _blended(known: float, seen: float) -> float:
    return seen if not known else known + _WEIGHT * (seen - known)
