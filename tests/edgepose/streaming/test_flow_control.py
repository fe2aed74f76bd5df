from unittest.mock import ANY

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgepose.notices import StreamEnd, TrackingFailure
from edgepose.results import Origin, PoseResult
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import (
    DropReason,
    EveryFrame,
    FrameDrop,
    Latest,
    PendingFrame,
    make_policy,
)
from edgepose.streaming.notification_queue import QUEUED_NOTICES
from edgepose.streaming.stream_queue import QUEUED_RESULTS, Flush, Job, Lane
from edgepose_runtime.errors import ConfigError, InferenceError, TimestampError
from edgepose_runtime.events import EventKind, StreamEvent
from edgepose_runtime.poses.skeletons import PENN13

IMAGE = np.zeros((4, 4, 3), np.uint8)


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def pending(number, arrived=0.0):
    return PendingFrame(number, IMAGE, float(number), arrived=arrived)


def result(frame):
    pose = np.zeros((13, 3), np.float32)
    return PoseResult(
        frame.frame_id, frame.timestamp_ms, pose, None, None, Origin.PROPAGATED, 0, {}, PENN13
    )


class HoldingWork:
    """Gives out each result some frames late."""

    def __init__(self, lag_frames):
        self.lag_frames = lag_frames
        self._held = []

    def __call__(self, frame):
        self._held.append(result(frame))
        ready = self._held[: -self.lag_frames or None]
        del self._held[: len(ready)]
        return ready

    def flush(self):
        held, self._held = self._held, []
        return held


def make_lane(policy="latest"):
    return Lane(HoldingWork(0), make_policy(policy), StatsRecorder())


def told(lane):
    notices = []
    while lane.has_notice:
        notices.append(lane.next_notice())
    return notices


class TestEveryFrame:
    def test_it_has_room_until_it_is_full_and_keeps_the_order(self):
        policy = EveryFrame(capacity=2)
        assert policy.put(pending(0)) == []
        assert policy.has_room
        assert policy.put(pending(1)) == []
        assert not policy.has_room
        assert policy.take()[0].frame_id == 0
        assert policy.has_room
        assert policy.take()[0].frame_id == 1
        assert policy.take() == (None, [])


class TestLatest:
    def test_the_newest_wins(self):
        policy = Latest()
        first, second = pending(0), pending(1)
        policy.put(first)
        assert policy.put(second) == [first]
        assert len(policy) == 1

    def test_a_frame_that_waited_too_long_is_not_worth_the_work(self):
        clock = Clock()
        policy = Latest(max_age_ms=100, clock=clock)
        policy.put(pending(0))
        clock.now = 0.1
        frame, stale = policy.take()
        assert (frame.frame_id, stale) == (0, [])
        policy.put(pending(1))
        clock.now = 0.201
        frame, stale = policy.take()
        assert frame is None
        assert [old.frame_id for old in stale] == [1]


@pytest.mark.parametrize("name", ["newest", ["latest"], 1])
def test_an_unknown_policy_is_refused_with_those_there_are(name):
    with pytest.raises(ConfigError, match="every-frame, latest"):
        make_policy(name)


class TestLane:
    def test_a_superseded_frame_is_told_as_a_drop(self):
        lane = make_lane()
        assert [lane.submit(IMAGE, stamp) for stamp in (0.0, 1.0)] == [0, 1]
        assert told(lane) == [FrameDrop(0, 0.0, DropReason.SUPERSEDED)]

    def test_a_bad_timestamp_costs_one_frame_and_no_number(self):
        lane = make_lane("every-frame")
        lane.submit(IMAGE, 5.0)
        with pytest.raises(TimestampError, match=r"5.0 ms .* 5.0 ms"):
            lane.submit(IMAGE, 5.0)
        assert lane.submit(IMAGE, 6.0) == 1
        assert lane.recorder.snapshot().errors == 1

    def test_while_the_callback_is_slow_every_frame_waits(self):
        lane = make_lane("every-frame")
        for stamp in range(QUEUED_RESULTS):
            lane.submit(IMAGE, stamp)
            frame = lane.take()
            lane.finish(frame, [result(frame)])
        lane.submit(IMAGE, 1000.0)
        assert not lane.is_ready
        lane.next_notice()
        assert lane.is_ready

    def test_while_the_callback_is_slow_the_latest_results_stay(self):
        lane = make_lane("latest")
        for stamp in range(6):
            lane.submit(IMAGE, stamp)
            frame = lane.take()
            lane.finish(frame, [result(frame)])
        notices = told(lane)
        assert [n.frame_id for n in notices if isinstance(n, PoseResult)] == [2, 3, 4, 5]
        drops = [n for n in notices if isinstance(n, FrameDrop)]
        assert [(d.frame_id, str(d.reason)) for d in drops] == [
            (0, "slow_callback"),
            (1, "slow_callback"),
        ]

    def test_notices_are_bounded_and_those_given_up_are_counted(self):
        lane = make_lane("latest")
        for stamp in range(QUEUED_NOTICES + 11):
            lane.submit(IMAGE, stamp)
        assert len(told(lane)) == QUEUED_NOTICES
        stats = lane.recorder.snapshot()
        assert stats.unreported == 10
        assert stats.drops == {"superseded": QUEUED_NOTICES + 10}

    def test_the_oldest_notice_makes_room_for_the_newest(self):
        lane = make_lane()
        events = [StreamEvent(EventKind.LOST, float(step)) for step in range(QUEUED_NOTICES + 2)]
        for event in events:
            lane.add_event(event)
        assert told(lane) == events[2:]

    def test_a_frame_with_a_wrong_timestamp_is_counted_as_an_error(self):
        lane = make_lane()
        lane.submit(IMAGE, 1.0)
        with pytest.raises(TimestampError):
            lane.submit(IMAGE, 1.0)
        stats = lane.recorder.snapshot()
        assert (stats.frames, stats.errors, stats.pending) == (2, 1, 1)

    def test_a_frame_that_waited_too_long_is_told_and_the_next_starts_afresh_in_its_place(self):
        clock = Clock()
        lane = Lane(HoldingWork(0), Latest(100, clock), StatsRecorder())
        lane.add_event(StreamEvent(EventKind.LOST, 0.0))
        told(lane)
        lane.submit(IMAGE, 1.0, called=clock.now)
        clock.now = 0.2
        assert lane.take() is None
        assert told(lane) == [FrameDrop(0, 1.0, DropReason.STALE)]
        lane.submit(IMAGE, 2.0, called=clock.now)
        assert lane.take().afresh

    def test_a_lane_that_starts_afresh_counts_frames_and_time_from_the_beginning(self):
        lane = make_lane()
        lane.submit(IMAGE, 1000.0)
        lane.drop_all(DropReason.RESET)
        lane.start_afresh(StatsRecorder())
        assert lane.submit(IMAGE, 0.0) == 0
        assert lane.recorder.snapshot().frames == 1

    def test_drops_and_errors_that_nobody_is_told_of_are_counted(self):
        lane = make_lane()
        for stamp in range(3):
            lane.submit(IMAGE, float(stamp))
        lane.refuse(InferenceError("no frame"))
        lane.add_event(StreamEvent(EventKind.LOST, 3.0))
        lane.drop_all(DropReason.CLOSED)
        lane.discard_notices()
        assert told(lane) == []
        assert lane.recorder.snapshot().unreported == 4

    @pytest.mark.parametrize("kind", [EventKind.LOST, EventKind.RECONNECTED])
    def test_the_first_frame_after_a_loss_starts_afresh(self, kind):
        lane = make_lane("every-frame")
        lane.submit(IMAGE, 0.0)
        lane.add_event(StreamEvent(kind, 1.0))
        lane.submit(IMAGE, 2.0)
        lane.submit(IMAGE, 3.0)
        afresh = []
        for _ in range(3):
            frame = lane.take()
            afresh.append(frame.afresh)
            lane.finish(frame, [result(frame)])
        assert afresh == [False, True, False]

    def test_a_frame_from_before_the_loss_does_not_start_afresh_in_its_place(self):
        lane = make_lane("every-frame")
        lane.submit(IMAGE, 0.0)
        lane.add_event(StreamEvent(EventKind.RECONNECTED, 1.0))
        before = lane.take()
        lane.finish(before, [result(before)])
        lane.submit(IMAGE, 2.0)
        assert (before.afresh, lane.take().afresh) == (False, True)

    def test_if_that_frame_is_dropped_the_next_one_does(self):
        lane = make_lane("latest")
        lane.add_event(StreamEvent(EventKind.RECONNECTED, 1.0))
        lane.submit(IMAGE, 2.0)
        lane.submit(IMAGE, 3.0)
        frame = lane.take()
        assert (frame.frame_id, frame.afresh) == (1, True)

    def test_if_that_frame_fails_the_next_one_does(self):
        lane = make_lane("every-frame")
        lane.add_event(StreamEvent(EventKind.RECONNECTED, 1.0))
        lane.submit(IMAGE, 2.0)
        lane.submit(IMAGE, 3.0)
        lane.finish(lane.take(), InferenceError("broken"))
        assert lane.take().afresh

    def test_events_that_are_given_up_are_no_frames_without_a_report(self):
        lane = make_lane()
        for stamp in range(QUEUED_NOTICES + 1):
            lane.add_event(StreamEvent(EventKind.LOST, stamp))
        assert len(told(lane)) == QUEUED_NOTICES
        assert lane.recorder.snapshot().unreported == 0

    def test_after_its_end_it_takes_no_frames_whatever_a_thread_was_doing(self):
        lane = make_lane()
        lane.submit(IMAGE, 0.0)
        frame = lane.take()
        lane.drop_all(DropReason.CLOSED)
        lane.end(None)
        told(lane)
        lane.finish(frame, [result(frame)])
        assert lane.is_over
        assert not lane.takes_frames

    def test_a_frame_dropped_in_work_does_not_come_back(self):
        lane = make_lane()
        lane.submit(IMAGE, 0.0)
        frame = lane.take()
        lane.drop_all(DropReason.CLOSED)
        lane.finish(frame, [result(frame)])
        assert told(lane) == [FrameDrop(0, 0.0, DropReason.CLOSED)]


class TestHeldBackFrames:
    def lane(self, policy="every-frame", frames=3, lag=2):
        lane = Lane(HoldingWork(lag), make_policy(policy), StatsRecorder())
        for _ in range(frames):
            lane.submit(IMAGE, None)
            self.work_once(lane)
        return lane

    def work_once(self, lane):
        job = lane.take()
        lane.finish(job, lane.work.flush() if job is Flush.HELD else lane.work(job))

    def ids(self, lane):
        return [notice.frame_id for notice in told(lane)]

    def test_each_result_comes_exactly_the_lag_late(self):
        lane = self.lane()
        assert self.ids(lane) == [0]
        assert not lane.is_ready
        assert not lane.is_worked_off

    def test_they_come_at_the_end_of_the_stream(self):
        lane = self.lane()
        lane.end(None)
        assert lane.is_ready
        self.work_once(lane)
        *results, end = told(lane)
        assert [result.frame_id for result in results] == [0, 1, 2]
        assert end == StreamEnd()

    def test_a_flush_gives_them_out_and_the_next_frame_waits_again(self):
        lane = self.lane()
        lane.flush()
        self.work_once(lane)
        assert self.ids(lane) == [0, 1, 2]
        lane.submit(IMAGE, None)
        self.work_once(lane)
        assert self.ids(lane) == []
        assert not lane.is_ready

    def test_a_flush_drops_none_for_a_slow_callback(self):
        lane = self.lane("latest", frames=12, lag=12)
        lane.flush()
        self.work_once(lane)
        assert self.ids(lane) == list(range(12))

    def test_what_is_dropped_meanwhile_ends_as_drops(self):
        lane = self.lane()
        told(lane)
        lane.drop_all(DropReason.RESET)
        assert told(lane) == [FrameDrop(i, ANY, DropReason.RESET) for i in (1, 2)]
        lane.submit(IMAGE, None)
        self.work_once(lane)
        assert self.ids(lane) == []

    def test_a_flush_that_fails_costs_all_of_them(self):
        lane = self.lane()
        told(lane)
        lane.flush()
        lane.finish(lane.take(), InferenceError("broken"))
        assert [failure.frame_id for failure in told(lane)] == [1, 2]
        assert lane.is_idle


class EveryFrameEndsOnce(RuleBasedStateMachine):
    """Random loads, stalls, errors and losses; then the lane is worked off, or dropped."""

    @initialize(policy=st.sampled_from(["every-frame", "latest"]), lag=st.sampled_from([0, 1, 3]))
    def begin(self, policy, lag):
        self.clock = Clock()
        self.policy = EveryFrame() if policy == "every-frame" else Latest(100, self.clock)
        self.lane = Lane(HoldingWork(lag), self.policy, StatsRecorder())
        self.ends: dict[int, list[object]] = {}
        self.work: Job | None = None
        self.stamp = 0.0
        self.closed = False

    @rule()
    def submit(self):
        if self.lane.has_room:
            self.stamp += 1
            self.ends[self.lane.submit(IMAGE, self.stamp)] = []

    @rule()
    def submit_at_the_same_time(self):
        if self.stamp and self.lane.has_room:
            with pytest.raises(TimestampError):
                self.lane.submit(IMAGE, self.stamp)

    @rule()
    def stall(self):
        self.clock.now += 0.2

    @rule()
    def take(self):
        if self.lane.is_ready:
            self.work = self.lane.take()

    @rule(fails=st.booleans())
    def finish(self, fails):
        if self.work is not None:
            job, self.work = self.work, None
            outcome = InferenceError("broken") if fails else self.outcome(job)
            self.lane.finish(job, outcome)

    def outcome(self, job):
        return self.lane.work.flush() if job is Flush.HELD else self.lane.work(job)

    @rule()
    def flush(self):
        self.lane.flush()

    @rule()
    def tell(self):
        if self.lane.has_notice:
            notice = self.lane.next_notice()
            if isinstance(notice, (PoseResult, FrameDrop, TrackingFailure)):
                self.ends[notice.frame_id].append(notice)

    @rule()
    def lose_the_source(self):
        self.lane.add_event(StreamEvent(EventKind.LOST, self.stamp))

    @rule()
    def close(self):
        self.closed = True
        self.lane.drop_all(DropReason.CLOSED)

    @invariant()
    def nothing_ends_twice(self):
        assert all(len(end) <= 1 for end in self.ends.values())

    def teardown(self):
        self.lane.flush()
        while not self.lane.is_idle:
            self.take()
            self.finish(fails=False)
            self.tell()
        ends = {number: end for number, (end,) in self.ends.items()}
        results = [number for number, end in ends.items() if isinstance(end, PoseResult)]
        assert results == sorted(results)
        stats = self.lane.recorder.snapshot()
        kinds = [type(end) for end in ends.values()]
        assert stats.pending == 0
        assert stats.poses == kinds.count(PoseResult)
        assert sum(stats.drops.values()) == kinds.count(FrameDrop)
        assert self.policy.drops or self.closed or not stats.drops


TestEveryFrameEndsOnce = EveryFrameEndsOnce.TestCase
