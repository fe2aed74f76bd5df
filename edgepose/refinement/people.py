"""Refinement of several people, each by a refiner of their own, and the frames held back for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from edgepose.results import Person, PoseResult
from edgepose.tracking.strategies import Refiner, TrackedFrame

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, eq=False)
class RefinablePose:
    """A person's pose in the present frame, and what refines it.

    Attributes:
        person_id: whose it is.
        refiner: that of the person's track.
        tracked: the frame, with the person's own result.
    """

    person_id: int
    refiner: Refiner
    tracked: TrackedFrame


@dataclass(frozen=True, slots=True, eq=False)
class _HeldFrame(Generic[Item]):
    item: Item
    people: dict[int, Person]
    person_ids: dict[Refiner, int]


class PeopleRefinement(Generic[Item]):
    """Holds the frames of one stream back until the poses of everybody in them are final.

    The track of a person who is not seen in a frame ends there: what its refiner has held back is
    taken as it is. Not locked.

    Args:
        lag_frames: how many frames refiners hold back at most; 0 without refiners, too.
    """

    def __init__(self, lag_frames: int) -> None:
        self.lag_frames = lag_frames
        self.reset()

    def reset(self) -> None:
        """Forget the frames that are held back."""
        self._held: dict[int, _HeldFrame[Item]] = {}
        self._active: set[Refiner] = set()

    def take(
        self,
        frame_id: int,
        item: Item,
        people: Sequence[Person],
        poses: Sequence[RefinablePose],
        *,
        restart: bool = False,
    ) -> list[tuple[Item, list[Person]]]:
        """Take in the next frame.

        Args:
            frame_id: its number.
            item: what else is known of it; comes back unchanged.
            people: everybody in it.
            poses: of those whose poses are refined.
            restart: it follows a gap: everybody's track ends before it.

        Returns:
            The frames that are final now, in order: the item, and everybody in it.
        """
        ids = {pose.refiner: pose.person_id for pose in poses}
        frame = _HeldFrame(item, {person.person_id: person for person in people}, ids)
        self._held[frame_id] = frame
        try:
            self._end(self._active if restart else self._active - ids.keys())
            for pose in poses:
                self._place(pose.refiner, pose.refiner.take(pose.tracked))
        except BaseException:
            del self._held[frame_id]  # it ends with the error
            raise
        self._active = set(ids)
        return self._give_out(min(self.lag_frames, 1) if restart else self.lag_frames)

    def flush(self) -> list[tuple[Item, list[Person]]]:
        """Return all frames that are held back: none will follow."""
        self._end(self._active)
        self._active = set()
        return self._give_out(0)

    def _end(self, refiners: Iterable[Refiner]) -> None:
        for refiner in refiners:
            self._place(refiner, refiner.flush())

    def _place(self, refiner: Refiner, results: Iterable[PoseResult]) -> None:
        """Put the results of one person's refiner into the frames they belong to."""
        for result in results:
            frame = self._held.get(result.frame_id)
            if frame is not None and refiner in frame.person_ids:
                person_id = frame.person_ids[refiner]
                frame.people[person_id] = _refined(frame.people[person_id], result)

    def _give_out(self, kept: int) -> list[tuple[Item, list[Person]]]:
        final = list(self._held)[: max(len(self._held) - kept, 0)]
        frames = [self._held.pop(frame_id) for frame_id in final]
        return [(frame.item, list(frame.people.values())) for frame in frames]


def _refined(person: Person, result: PoseResult) -> Person:
    if result.keypoints is None or result.origin is None:
        raise RuntimeError("A refiner returned a person's result without a pose.")
    score = float(result.keypoints[:, 2].mean())
    return replace(person, keypoints=result.keypoints, score=score, origin=result.origin)
