"""Identities of people: counted from 1, never used again; what is known of them, and events."""

from __future__ import annotations

from dataclasses import dataclass, field

from edgepose.people.appearance import Description, remembered
from edgepose.people.motion import PersonMotion
from edgepose_runtime.events import EventKind, StreamEvent


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


class Identities:
    """Gives out identities, and keeps the events of each in order. Not locked.

    Of each identity come ``person_entered`` first, then ``person_lost`` and ``person_found`` in
    turns, and ``person_left`` last, after ``person_lost``.

    Attributes:
        next: the next identity.
    """

    def __init__(self) -> None:
        self.next = 1
        self._lost: set[int] = set()
        self._events: list[StreamEvent] = []

    def enter(self, timestamp_ms: float) -> int:
        """Return the identity of somebody new."""
        person_id, self.next = self.next, self.next + 1
        self._add(EventKind.PERSON_ENTERED, person_id, timestamp_ms)
        return person_id

    def lose(self, person_id: int, timestamp_ms: float) -> None:
        """Take in that a person has no pose any more; nothing if that is known."""
        if person_id not in self._lost:
            self._lost.add(person_id)
            self._add(EventKind.PERSON_LOST, person_id, timestamp_ms)

    def find(self, person_id: int, timestamp_ms: float) -> None:
        """Take in that a person has a pose again; nothing if it always had."""
        if person_id in self._lost:
            self._lost.remove(person_id)
            self._add(EventKind.PERSON_FOUND, person_id, timestamp_ms)

    def leave(self, person_id: int, timestamp_ms: float) -> None:
        """Give an identity up."""
        self.lose(person_id, timestamp_ms)
        self._lost.remove(person_id)
        self._add(EventKind.PERSON_LEFT, person_id, timestamp_ms)

    def take_events(self) -> list[StreamEvent]:
        """Return what happened since the last call, in order."""
        events, self._events = self._events, []
        return events

    def _add(self, kind: EventKind, person_id: int, timestamp_ms: float) -> None:
        verb = kind.value.removeprefix("person_")
        was = "was " if verb in ("lost", "found") else ""
        detail = f"Person {person_id} {was}{verb}."
        self._events.append(StreamEvent(kind, timestamp_ms, detail, person_id))
