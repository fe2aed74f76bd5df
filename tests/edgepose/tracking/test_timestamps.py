import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.tracking.frame import StreamTime
from edgepose_runtime.errors import TimestampError

NOW = 100.0  # seconds


@pytest.mark.parametrize("second", [40.0, 39.0, -1.0])
def test_a_timestamp_that_does_not_advance_is_refused_with_both_named(second):
    time = StreamTime()
    time.accept(time.check(40.0, NOW), NOW)
    with pytest.raises(TimestampError, match=rf"{second} ms .* 40.0 ms"):
        time.check(second, NOW)


def test_late_timestamps_of_a_long_clock_can_be_told_apart_in_the_error():
    time = StreamTime()
    time.accept(time.check(1_700_000_000_123.5, NOW), NOW)
    with pytest.raises(TimestampError, match=r"1700000000123\.25 ms .* 1700000000123\.5 ms"):
        time.check(1_700_000_000_123.25, NOW)


@pytest.mark.parametrize("stamp", [math.nan, math.inf, "soon", [1.0], 10**400])
def test_a_timestamp_that_is_no_finite_number_is_refused(stamp):
    with pytest.raises(TimestampError, match="finite number of milliseconds"):
        StreamTime().check(stamp, NOW)


def test_a_frame_that_was_only_checked_leaves_no_trace():
    time = StreamTime()
    time.check(1000.0, NOW)
    assert time.check(1.0, NOW) == 1.0


def test_without_timestamps_the_time_of_the_call_is_used():
    time = StreamTime()
    stamps = []
    for called in (100.0, 100.04, 100.08):
        stamps.append(time.check(None, called))
        time.accept(stamps[-1], called)
    assert stamps == pytest.approx([100_000.0, 100_040.0, 100_080.0])


def test_where_the_clock_stands_still_times_rise_by_enough_to_divide_by():
    time = StreamTime()
    time.accept(time.check(0.0, NOW), NOW)
    assert 1e-9 < time.check(None, NOW) < 1e-3


def test_a_missing_timestamp_goes_on_from_the_last_given_one():
    time = StreamTime()
    time.accept(time.check(33.0, NOW), NOW)
    assert time.check(None, NOW + 0.02) == pytest.approx(53.0)


def test_calls_that_overtake_each_other_neither_turn_time_back_nor_carry_it_ahead():
    time = StreamTime()
    stamps = []
    for called in (100.0, 100.04, 100.02, 100.08):
        stamps.append(time.check(None, called))
        time.accept(stamps[-1], called)
    assert all(a < b for a, b in pairwise(stamps))
    assert stamps[-1] == pytest.approx(100_080.0)


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.floats(-1e9, 1e9)), st.floats(0, 9)), max_size=30)
)
def test_accepted_timestamps_always_rise(frames):
    time, accepted = StreamTime(), []
    for given_stamp, called in frames:
        try:
            stamp = time.check(given_stamp, called)
        except TimestampError:
            continue
        time.accept(stamp, called)
        accepted.append(stamp)
    assert all(a < b for a, b in pairwise(accepted))


def test_after_reset_time_may_start_again():
    time = StreamTime()
    time.accept(time.check(500.0, NOW), NOW)
    time.reset()
    assert time.check(0.0, NOW) == 0.0
