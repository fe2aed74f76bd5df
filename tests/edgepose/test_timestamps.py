import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.timestamps import StreamTime
from edgepose_runtime.errors import TimestampError


class Clock:
    """A clock that the test sets, in seconds."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.mark.parametrize("second", [40.0, 39.0, -1.0])
def test_a_timestamp_that_does_not_advance_is_refused_with_both_named(second):
    time = StreamTime()
    time.accept(time.check(40.0))
    with pytest.raises(TimestampError, match=rf"{second:g} ms .* 40 ms"):
        time.check(second)


@pytest.mark.parametrize("stamp", [math.nan, math.inf, "soon", [1.0]])
def test_a_timestamp_that_is_no_finite_number_is_refused(stamp):
    with pytest.raises(TimestampError, match="finite number of milliseconds"):
        StreamTime().check(stamp)


def test_a_frame_that_was_only_checked_leaves_no_trace():
    time = StreamTime()
    time.check(1000.0)
    assert time.check(1.0) == 1.0


def test_without_timestamps_the_clock_is_used():
    clock = Clock()
    time = StreamTime(clock)
    stamps = []
    for now in (100.0, 100.04, 100.08):
        clock.now = now
        stamps.append(time.check(None))
        time.accept(stamps[-1])
    assert stamps == pytest.approx([100_000.0, 100_040.0, 100_080.0])


def test_a_missing_timestamp_goes_on_from_the_last_given_one():
    clock = Clock()
    time = StreamTime(clock)
    time.accept(time.check(33.0))
    clock.now += 0.02
    assert time.check(None) == pytest.approx(53.0)


@given(st.lists(st.one_of(st.none(), st.floats(-1e9, 1e9)), max_size=30))
def test_accepted_timestamps_always_rise(given_stamps):
    clock = Clock()  # stands still, the worst case
    time, accepted = StreamTime(clock), []
    for given_stamp in given_stamps:
        try:
            stamp = time.check(given_stamp)
        except TimestampError:
            continue
        time.accept(stamp)
        accepted.append(stamp)
    assert all(a < b for a, b in pairwise(accepted))


def test_after_reset_time_may_start_again():
    time = StreamTime()
    time.accept(time.check(500.0))
    time.reset()
    assert time.check(0.0) == 0.0
