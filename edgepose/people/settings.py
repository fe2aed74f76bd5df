"""How several people are followed, and which of them is the main person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from edgepose.results import Person
from edgepose_runtime.checks import is_finite_number, is_whole_number
from edgepose_runtime.errors import ConfigError

#: More people than this are not followed; ``"all"`` stands for it.
MOST_PEOPLE = 100
#: Chooses the main person among those with a pose.
Follow = Callable[[Sequence[Person]], Person]
#: Rules by which a tracker chooses the main person itself.
FollowRule = Literal["longest", "largest", "centre"]
FOLLOW: tuple[FollowRule, ...] = get_args(FollowRule)


@dataclass(frozen=True, slots=True)
class SeveralPeople:
    """How many people are followed in a stream, and at what cost.

    Of more people than ``max_people``, those who are followed already stay; a place that becomes
    free goes to whom the detector is surest of.

    Example:
        >>> people = SeveralPeople(max_people=4, remember_s=10.0)
        >>> with edgepose.PoseTracker(max_people=people) as tracker:
        ...     result = tracker.track(frame)
        ...     [person.person_id for person in result.people]
        [1, 2]

    Attributes:
        max_people: how many, from 2 to 100.
        looks_per_frame: the pose networks process so many people per frame at most; the others'
            poses are predicted, and everybody has a turn. ``None`` for all people.
        remember_s: for so long after being lost a person who comes back gets the same identity.
        predict_ms: for so long after being lost a person's pose is still predicted.
        detect_every_ms: the person detector runs this often at least; while people are lost,
            new, or overlap each other, it runs twice as often.

    Raises:
        ConfigError: a number is outside its range.
    """

    max_people: int = 6
    looks_per_frame: int | None = None
    remember_s: float = 5.0
    predict_ms: float = 400.0
    detect_every_ms: float = 400.0

    def __post_init__(self) -> None:
        _require_count("max_people", self.max_people, 2, MOST_PEOPLE)
        if self.looks_per_frame is not None:
            _require_count("looks_per_frame", self.looks_per_frame, 1, MOST_PEOPLE)
        for name in ("remember_s", "predict_ms", "detect_every_ms"):
            value = getattr(self, name)
            if not is_finite_number(value) or value < 0:
                raise ConfigError(f"{name} must be a finite number from 0 up; got {value!r}.")


#: How many people to follow.
MaxPeople = int | Literal["all"] | SeveralPeople


def people_settings(max_people: MaxPeople) -> SeveralPeople | None:
    """Return how to follow several people; ``None`` for the one person of ``max_people=1``.

    Raises:
        ConfigError: it is no whole number from 1 to 100, ``"all"`` or :class:`SeveralPeople`.
    """
    if isinstance(max_people, SeveralPeople):
        return max_people
    if max_people == "all":
        return SeveralPeople(MOST_PEOPLE)
    _require_count("max_people", max_people, 1, MOST_PEOPLE, ", 'all' or SeveralPeople(...)")
    return None if max_people == 1 else SeveralPeople(int(max_people))


def _require_count(name: str, value: object, low: int, high: int, more: str = "") -> None:
    if not is_whole_number(value) or not low <= int(value) <= high:  # type: ignore[call-overload]
        raise ConfigError(
            f"{name} must be a whole number from {low} to {high}{more}; got {value!r}."
        )


def follow_rule(follow: str | Follow, frame_size: Callable[[], tuple[int, int]]) -> Follow:
    """Return what chooses the main person.

    Args:
        follow: one of ``FOLLOW``, or a function of the people in a frame that returns one of them.
        frame_size: returns the present frame's (width, height) in pixels.

    Raises:
        ConfigError: it is neither.
    """
    if callable(follow):
        return follow
    rules = {
        "longest": _longest,
        "largest": _largest,
        "centre": lambda people: _nearest(people, frame_size()),
    }
    if follow not in rules:
        raise ConfigError(
            f"follow must be one of {', '.join(FOLLOW)} or a function; got {follow!r}."
        )
    return rules[follow]


def _longest(people: Sequence[Person]) -> Person:
    return min(people, key=lambda person: person.person_id)


def _largest(people: Sequence[Person]) -> Person:
    return max(people, key=lambda person: person.roi[2])


def _nearest(people: Sequence[Person], size: tuple[int, int]) -> Person:
    middle = (np.asarray(size) - 1) / 2
    return min(people, key=lambda person: _distance(person, middle))


def _distance(person: Person, point: np.ndarray) -> float:
    x, y, width, height = person.roi
    return float(np.hypot(*(np.array([x + width / 2, y + height / 2]) - point)))
