"""The end of the program: every owner is closed, whatever the others do, in bounded time."""

import logging
import time
import weakref

import pytest

from edgepose.streaming import shutdown as exiting


class Owner:
    """Notes how it was closed, on a clock that it moves on."""

    def __init__(self, clock, *, takes=0.0, error=None, raised=None):
        self.clock, self.takes, self.error, self.raised = clock, takes, error, raised
        self.timeout = None
        self.abandoned = 0
        self.finalizer = exiting.close_at_exit(self, self.abandon)

    def abandon(self):
        self.abandoned += 1

    def _close(self, timeout, *, drain):
        assert drain
        self.timeout = timeout
        self.clock.now += timeout if self.takes is None else self.takes
        if self.raised is not None:
            raise self.raised
        return self.error


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(exiting, "_owners", weakref.WeakKeyDictionary())
    monkeypatch.setattr(exiting, "_threaded", weakref.WeakSet())
    monkeypatch.setattr(time, "monotonic", clock)
    yield clock
    monkeypatch.undo()


def test_an_owner_that_cannot_be_closed_does_not_keep_the_others_open(clock, caplog):
    raised, returned = RuntimeError("does not close"), ValueError("was not dealt with")
    owners = [Owner(clock), Owner(clock, raised=raised), Owner(clock, error=returned), Owner(clock)]
    with caplog.at_level(logging.ERROR, "edgepose"):
        exiting._close_all()
    assert all(owner.timeout is not None for owner in owners)
    assert [record.exc_info[1] for record in caplog.records] == [raised, returned]


def test_owners_that_hang_share_the_time_of_one(clock):
    owners = [Owner(clock, takes=None) for _ in range(20)]
    exiting._close_all()
    assert all(owner.timeout > 0 for owner in owners)
    assert clock.now - 100.0 == pytest.approx(exiting.CLOSE_TIMEOUT_S)


def test_those_for_which_no_time_is_left_are_abandoned(clock):
    owners = [Owner(clock, takes=exiting.CLOSE_TIMEOUT_S + 1), Owner(clock), Owner(clock)]
    exiting._close_all()
    assert [owner.abandoned for owner in owners] == [0, 1, 1]
    assert clock.now - 100.0 == exiting.CLOSE_TIMEOUT_S + 1
