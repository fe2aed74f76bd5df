"""The life of what runs threads, as a table."""

from __future__ import annotations

from enum import Enum


class State(str, Enum):
    """Where something with threads is in its life."""

    NEW = "new"
    """No thread was started."""
    RUNNING = "running"
    """Frames are taken and worked off."""
    DRAINING = "draining"
    """Being closed: no frame is taken any more, those that wait are worked off."""
    FAILED = "failed"
    """A thread ended with an error that it must not have; nothing works but closing."""
    CLOSED = "closed"
    """All is over."""


#: Where each state may lead. ``close()`` is legal in each of them.
TRANSITIONS: dict[State, frozenset[State]] = {
    State.NEW: frozenset({State.RUNNING, State.CLOSED}),
    State.RUNNING: frozenset({State.DRAINING, State.FAILED, State.CLOSED}),
    State.DRAINING: frozenset({State.FAILED, State.CLOSED}),
    State.FAILED: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


class Lifecycle:
    """A state that changes along the table only. Not locked."""

    def __init__(self) -> None:
        self.state = State.NEW

    def move(self, state: State) -> bool:
        """Go to a state; return False, and stay, where the table has no such way."""
        if state not in TRANSITIONS[self.state]:
            return False
        self.state = state
        return True

    @property
    def ended(self) -> bool:
        """Whether nothing will be worked off any more."""
        return self.state in (State.FAILED, State.CLOSED)
