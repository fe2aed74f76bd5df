"""What happens to a source of frames, other than frames."""

from __future__ import annotations

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """Something that happened to a source between two frames.

    Attributes:
        kind: what happened.
        timestamp_ms: when, on the clock that stamps the frames of the source.
        detail: a sentence for people, without user names and passwords.
    """

    kind: EventKind
    timestamp_ms: float
    detail: str = ""
