"""What happens to a source of frames, other than frames."""

from __future__ import annotations

from dataclasses import dataclass

from edgepose_runtime.redaction import printable, redact
from edgepose_runtime.text_enum import TextEnum


class EventKind(TextEnum):
    """What happened."""

    LOST = "lost"
    """The source stopped delivering; it is being opened again."""
    RECONNECTED = "reconnected"
    """The source delivers again: the next frame comes after a gap."""
    ENDED = "ended"
    """There will be no more frames."""
    HEAD_LOST = "head_lost"
    """The remote head does not answer any more; tracking goes on without it."""
    HEAD_RECONNECTED = "head_reconnected"
    """The remote head answers again."""
    PERSON_ENTERED = "person_entered"
    """Somebody new is followed, where several people are."""
    PERSON_LOST = "person_lost"
    """A person is not seen any more, and has no pose until found again."""
    PERSON_FOUND = "person_found"
    """A person who was lost is seen again."""
    PERSON_LEFT = "person_left"
    """A person was lost for so long that the identity is given up."""


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something that happened to a source between two frames, or to a person in it.

    Attributes:
        kind: what happened.
        timestamp_ms: when, on the clock that stamps the frames of the source.
        detail: a sentence for people, without user names, passwords and control characters, and
            of some hundred characters at most.
        person_id: the identity of the person it happened to; ``None`` where it was no person.
    """

    kind: EventKind
    timestamp_ms: float
    detail: str = ""
    person_id: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "detail", printable(redact(self.detail)))
