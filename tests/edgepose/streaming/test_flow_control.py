from unittest.mock import ANY

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from edgepose.results import DropReason, FrameDrop, Origin, PoseResult, StreamEnd, TrackingFailure
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import EveryFrame, Latest, make_policy
from edgepose.streaming.notification_queue import QUEUED_NOTIFICATIONS
from edgepose.streaming.stream_queue import QUEUED_RESULTS, Flush, Job, StreamQueue
from edgepose.tracking.frame import Frame
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
    return Frame(number, IMAGE, float(number), arrived=arrived)


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

    def run(self, frame):
        self._held.append(result(frame))
        ready = self._held[: -self.lag_frames or None]
        del self._held[: len(ready)]
        return ready

    def flush(self):
        held, self._held = self._held, []
        return held


def make_queue(policy="latest"):
    return StreamQueue(HoldingWork(0), make_policy(policy), StatsRecorder())


def take_notifications(queue):
    notifications = []
    while queue.has_notification:
        notifications.append(queue.next_notification())
    return notifications


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
        assert len(policy.frames) == 1

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


class TestStreamQueue:
    def test_a_superseded_frame_is_told_as_a_drop(self):
        queue = make_queue()
        assert [queue.submit(IMAGE, stamp) for stamp in (0.0, 1.0)] == [0, 1]
        assert take_notifications(queue) == [FrameDrop(0, 0.0, DropReason.SUPERSEDED)]

    def test_a_bad_timestamp_costs_one_frame_and_no_number(self):
        queue = make_queue("every-frame")
        queue.submit(IMAGE, 5.0)
        with pytest.raises(TimestampError, match=r"5.0 ms .* 5.0 ms"):
            queue.submit(IMAGE, 5.0)
        assert queue.submit(IMAGE, 6.0) == 1
        assert queue.recorder.snapshot().errors == 1

    def test_while_the_callback_is_slow_every_frame_waits(self):
        queue = make_queue("every-frame")
        for stamp in range(QUEUED_RESULTS):
            queue.submit(IMAGE, stamp)
            frame = queue.take()
            queue.finish(frame, [result(frame)])
        queue.submit(IMAGE, 1000.0)
        assert not queue.is_ready
        queue.next_notification()
        assert queue.is_ready

    def test_while_the_callback_is_slow_the_latest_results_stay(self):
        queue = make_queue("latest")
        for stamp in range(6):
            queue.submit(IMAGE, stamp)
            frame = queue.take()
            queue.finish(frame, [result(frame)])
        notifications = take_notifications(queue)
        assert [n.frame_id for n in notifications if isinstance(n, PoseResult)] == [2, 3, 4, 5]
        drops = [n for n in notifications if isinstance(n, FrameDrop)]
        assert [(d.frame_id, str(d.reason)) for d in drops] == [
            (0, "slow_callback"),
            (1, "slow_callback"),
        ]

    def test_notices_are_bounded_and_those_given_up_are_counted(self):
        queue = make_queue("latest")
        for stamp in range(QUEUED_NOTIFICATIONS + 11):
            queue.submit(IMAGE, stamp)
        assert len(take_notifications(queue)) == QUEUED_NOTIFICATIONS
        stats = queue.recorder.snapshot()
        assert stats.unreported == 10
        assert stats.drops == {"superseded": QUEUED_NOTIFICATIONS + 10}

    def test_the_oldest_notice_makes_room_for_the_newest(self):
        queue = make_queue()
        events = [
            StreamEvent(EventKind.LOST, float(step)) for step in range(QUEUED_NOTIFICATIONS + 2)
        ]
        for event in events:
            queue.add_event(event)
        assert take_notifications(queue) == events[2:]

    def test_a_frame_with_a_wrong_timestamp_is_counted_as_an_error(self):
        queue = make_queue()
        queue.submit(IMAGE, 1.0)
        with pytest.raises(TimestampError):
            queue.submit(IMAGE, 1.0)
        stats = queue.recorder.snapshot()
        assert (stats.frames, stats.errors, stats.pending) == (2, 1, 1)

    def test_a_frame_that_waited_too_long_is_told_and_the_next_starts_afresh_in_its_place(self):
        clock = Clock()
        queue = StreamQueue(HoldingWork(0), Latest(100, clock), StatsRecorder())
        queue.add_event(StreamEvent(EventKind.LOST, 0.0))
        take_notifications(queue)
        queue.submit(IMAGE, 1.0, called=clock.now)
        clock.now = 0.2
        assert queue.take() is None
        assert take_notifications(queue) == [FrameDrop(0, 1.0, DropReason.STALE)]
        queue.submit(IMAGE, 2.0, called=clock.now)
        assert queue.take().restart

    def test_a_lane_that_starts_afresh_counts_frames_and_time_from_the_beginning(self):
        queue = make_queue()
        queue.submit(IMAGE, 1000.0)
        queue.drop_all(DropReason.RESET)
        queue.restart(StatsRecorder())
        assert queue.submit(IMAGE, 0.0) == 0
        assert queue.recorder.snapshot().frames == 1

    def test_drops_and_errors_that_nobody_is_told_of_are_counted(self):
        queue = make_queue()
        for stamp in range(3):
            queue.submit(IMAGE, float(stamp))
        queue.refuse(InferenceError("no frame"))
        queue.add_event(StreamEvent(EventKind.LOST, 3.0))
        queue.drop_all(DropReason.CLOSED)
        queue.discard_notifications()
        assert take_notifications(queue) == []
        assert queue.recorder.snapshot().unreported == 4

    @pytest.mark.parametrize("kind", [EventKind.LOST, EventKind.RECONNECTED])
    def test_the_first_frame_after_a_loss_starts_afresh(self, kind):
        queue = make_queue("every-frame")
        queue.submit(IMAGE, 0.0)
        queue.add_event(StreamEvent(kind, 1.0))
        queue.submit(IMAGE, 2.0)
        queue.submit(IMAGE, 3.0)
        afresh = []
        for _ in range(3):
            frame = queue.take()
            afresh.append(frame.restart)
            queue.finish(frame, [result(frame)])
        assert afresh == [False, True, False]

    def test_a_frame_from_before_the_loss_does_not_restart_in_its_place(self):
        queue = make_queue("every-frame")
        queue.submit(IMAGE, 0.0)
        queue.add_event(StreamEvent(EventKind.RECONNECTED, 1.0))
        before = queue.take()
        queue.finish(before, [result(before)])
        queue.submit(IMAGE, 2.0)
        assert (before.restart, queue.take().restart) == (False, True)

    def test_what_is_held_back_is_given_out_at_the_loss(self):
        queue = StreamQueue(HoldingWork(2), EveryFrame(), StatsRecorder())
        queue.submit(IMAGE, 0.0)
        frame = queue.take()
        queue.finish(frame, [])
        assert queue.take() is None
        queue.add_event(StreamEvent(EventKind.LOST, 1.0))
        assert queue.take() is Flush.HELD

    def test_if_that_frame_is_dropped_the_next_one_does(self):
        queue = make_queue("latest")
        queue.add_event(StreamEvent(EventKind.RECONNECTED, 1.0))
        queue.submit(IMAGE, 2.0)
        queue.submit(IMAGE, 3.0)
        frame = queue.take()
        assert (frame.frame_id, frame.restart) == (1, True)

    def test_if_that_frame_fails_the_next_one_does(self):
        queue = make_queue("every-frame")
        queue.add_event(StreamEvent(EventKind.RECONNECTED, 1.0))
        queue.submit(IMAGE, 2.0)
        queue.submit(IMAGE, 3.0)
        queue.finish(queue.take(), InferenceError("broken"))
        assert queue.take().restart

    def test_events_that_are_given_up_are_no_frames_without_a_report(self):
        queue = make_queue()
        for stamp in range(QUEUED_NOTIFICATIONS + 1):
            queue.add_event(StreamEvent(EventKind.LOST, stamp))
        assert len(take_notifications(queue)) == QUEUED_NOTIFICATIONS
        assert queue.recorder.snapshot().unreported == 0

    def test_after_its_end_it_takes_no_frames_whatever_a_thread_was_doing(self):
        queue = make_queue()
        queue.submit(IMAGE, 0.0)
        frame = queue.take()
        queue.drop_all(DropReason.CLOSED)
        queue.end(None)
        take_notifications(queue)
        queue.finish(frame, [result(frame)])
        assert queue.is_over
        assert not queue.takes_frames

    def test_a_frame_dropped_in_work_does_not_come_back(self):
        queue = make_queue()
        queue.submit(IMAGE, 0.0)
        frame = queue.take()
        queue.drop_all(DropReason.CLOSED)
        queue.finish(frame, [result(frame)])
        assert take_notifications(queue) == [FrameDrop(0, 0.0, DropReason.CLOSED)]


class TestHeldBackFrames:
    def queue(self, policy="every-frame", frames=3, lag=2):
        queue = StreamQueue(HoldingWork(lag), make_policy(policy), StatsRecorder())
        for _ in range(frames):
            queue.submit(IMAGE, None)
            self.work_once(queue)
        return queue

    def work_once(self, queue):
        job = queue.take()
        queue.finish(job, queue.step.flush() if job is Flush.HELD else queue.step.run(job))

    def ids(self, queue):
        return [notification.frame_id for notification in take_notifications(queue)]

    def test_each_result_comes_exactly_the_lag_late(self):
        queue = self.queue()
        assert self.ids(queue) == [0]
        assert not queue.is_ready
        assert not queue.is_drained

    def test_they_come_at_the_end_of_the_stream(self):
        queue = self.queue()
        queue.end(None)
        assert queue.is_ready
        self.work_once(queue)
        *results, end = take_notifications(queue)
        assert [result.frame_id for result in results] == [0, 1, 2]
        assert end == StreamEnd()

    def test_a_flush_gives_them_out_and_the_next_frame_waits_again(self):
        queue = self.queue()
        queue.flush()
        self.work_once(queue)
        assert self.ids(queue) == [0, 1, 2]
        queue.submit(IMAGE, None)
        self.work_once(queue)
        assert self.ids(queue) == []
        assert not queue.is_ready

    def test_a_flush_drops_none_for_a_slow_callback(self):
        queue = self.queue("latest", frames=12, lag=12)
        queue.flush()
        self.work_once(queue)
        assert self.ids(queue) == list(range(12))

    def test_what_is_dropped_meanwhile_ends_as_drops(self):
        queue = self.queue()
        take_notifications(queue)
        queue.drop_all(DropReason.RESET)
        assert take_notifications(queue) == [FrameDrop(i, ANY, DropReason.RESET) for i in (1, 2)]
        queue.submit(IMAGE, None)
        self.work_once(queue)
        assert self.ids(queue) == []

    def test_a_flush_that_fails_costs_all_of_them(self):
        queue = self.queue()
        take_notifications(queue)
        queue.flush()
        queue.finish(queue.take(), InferenceError("broken"))
        assert [failure.frame_id for failure in take_notifications(queue)] == [1, 2]
        assert queue.is_idle


class EveryFrameEndsOnce(RuleBasedStateMachine):
    """Random loads, stalls, errors and losses; then the queue is worked off, or dropped."""

    @initialize(policy=st.sampled_from(["every-frame", "latest"]), lag=st.sampled_from([0, 1, 3]))
    def begin(self, policy, lag):
        self.clock = Clock()
        self.policy = EveryFrame() if policy == "every-frame" else Latest(100, self.clock)
        self.queue = StreamQueue(HoldingWork(lag), self.policy, StatsRecorder())
        self.ends: dict[int, list[object]] = {}
        self.work: Job | None = None
        self.stamp = 0.0
        self.closed = False

    @rule()
    def submit(self):
        if self.queue.has_room:
            self.stamp += 1
            self.ends[self.queue.submit(IMAGE, self.stamp)] = []

    @rule()
    def submit_at_the_same_time(self):
        if self.stamp and self.queue.has_room:
            with pytest.raises(TimestampError):
                self.queue.submit(IMAGE, self.stamp)

    @rule()
    def stall(self):
        self.clock.now += 0.2

    @rule()
    def take(self):
        if self.queue.is_ready:
            self.work = self.queue.take()

    @rule(fails=st.booleans())
    def finish(self, fails):
        if self.work is not None:
            job, self.work = self.work, None
            outcome = InferenceError("broken") if fails else self.outcome(job)
            self.queue.finish(job, outcome)

    def outcome(self, job):
        return self.queue.step.flush() if job is Flush.HELD else self.queue.step.run(job)

    @rule()
    def flush(self):
        self.queue.flush()

    @rule()
    def tell(self):
        if self.queue.has_notification:
            notification = self.queue.next_notification()
            if isinstance(notification, (PoseResult, FrameDrop, TrackingFailure)):
                self.ends[notification.frame_id].append(notification)

    @rule()
    def lose_the_source(self):
        self.queue.add_event(StreamEvent(EventKind.LOST, self.stamp))

    @rule()
    def close(self):
        self.closed = True
        self.queue.drop_all(DropReason.CLOSED)

    @invariant()
    def nothing_ends_twice(self):
        assert all(len(end) <= 1 for end in self.ends.values())

    def teardown(self):
        self.queue.flush()
        while not self.queue.is_idle:
            self.take()
            self.finish(fails=False)
            self.tell()
        ends = {number: end for number, (end,) in self.ends.items()}
        results = [number for number, end in ends.items() if isinstance(end, PoseResult)]
        assert results == sorted(results)
        stats = self.queue.recorder.snapshot()
        kinds = [type(end) for end in ends.values()]
        assert stats.pending == 0
        assert stats.poses == kinds.count(PoseResult)
        assert sum(stats.drops.values()) == kinds.count(FrameDrop)
        assert self.policy.drops or self.closed or not stats.drops


TestEveryFrameEndsOnce = EveryFrameEndsOnce.TestCase
