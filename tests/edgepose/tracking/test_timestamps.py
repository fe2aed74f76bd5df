import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose.tracking.frame import FrameSequence, StreamTime
from edgepose_runtime.errors import TimestampError

NOW = 100.0  # seconds


@pytest.mark.parametrize("second", [40.0, 39.0, -1.0])
def test_a_timestamp_that_does_not_advance_is_refused_with_both_named(second):
    time = StreamTime()
    time = time.after(time.check(40.0, NOW), NOW)
    with pytest.raises(TimestampError, match=rf"{second} ms .* 40.0 ms"):
        time.check(second, NOW)


def test_late_timestamps_of_a_long_clock_can_be_told_apart_in_the_error():
    time = StreamTime()
    time = time.after(time.check(1_700_000_000_123.5, NOW), NOW)
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
        time = time.after(stamps[-1], called)
    assert stamps == pytest.approx([100_000.0, 100_040.0, 100_080.0])


def test_where_the_clock_stands_still_times_rise_by_enough_to_divide_by():
    time = StreamTime()
    time = time.after(time.check(0.0, NOW), NOW)
    assert 1e-9 < time.check(None, NOW) < 1e-3


def test_a_missing_timestamp_goes_on_from_the_last_given_one():
    time = StreamTime()
    time = time.after(time.check(33.0, NOW), NOW)
    assert time.check(None, NOW + 0.02) == pytest.approx(53.0)


def test_calls_that_overtake_each_other_neither_turn_time_back_nor_carry_it_ahead():
    time = StreamTime()
    stamps = []
    for called in (100.0, 100.04, 100.02, 100.08):
        stamps.append(time.check(None, called))
        time = time.after(stamps[-1], called)
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
        time = time.after(stamp, called)
        accepted.append(stamp)
    assert all(a < b for a, b in pairwise(accepted))


class TestFrames:
    IMAGE = np.zeros((3, 4, 3), np.uint8)

    def create(self, frames, timestamp_ms=None):
        return frames.create(self.IMAGE, timestamp_ms, None, NOW)

    def test_are_numbered_and_know_their_size(self):
        frames = FrameSequence()
        created = [self.create(frames, stamp) for stamp in (1.0, 2.0)]
        assert [frame.frame_id for frame in created] == [0, 1]
        assert created[0].size == (4, 3)

    def test_one_that_is_undone_leaves_no_trace(self):
        frames = FrameSequence()
        self.create(frames, 1.0)
        frames.undo(self.create(frames, 1000.0))
        again = self.create(frames, 2.0)
        assert (again.frame_id, again.timestamp_ms) == (1, 2.0)

    def test_one_with_a_bad_time_leaves_no_trace(self):
        frames = FrameSequence()
        with pytest.raises(TimestampError):
            self.create(frames, math.nan)
        assert self.create(frames, -5.0).frame_id == 0

    def test_start_again_after_a_reset(self):
        frames = FrameSequence()
        self.create(frames, 500.0)
        frames.reset()
        again = self.create(frames, 0.0)
        assert (again.frame_id, again.timestamp_ms) == (0, 0.0)
