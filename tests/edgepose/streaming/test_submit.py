"""submit(), callbacks and close(), with real threads and no sleeps."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepose.inference.model import PoseModel
from edgepose.results import DropReason, FrameDrop
from edgepose.stats import StatsRecorder
from edgepose.streaming.flow_control import _POLICIES, Latest, make_policy
from edgepose.streaming.lifecycle import TRANSITIONS, State
from edgepose.streaming.pipeline import Pipeline
from edgepose.streaming.stream_queue import StreamQueue
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.errors import (
    ClosedError,
    ConfigError,
    EdgePoseError,
    FrameError,
    InferenceError,
    TimestampError,
)

FRAME = np.zeros((240, 320, 3), np.uint8)
PERSON = standing_person((160, 120), height=120)
SECONDS = 20.0  # for what happens at once, unless something hangs


class GatedMethod(FakeMethod):
    """A method that waits at a gate, which is open at first."""

    def __init__(self):
        super().__init__(PERSON)
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def _look(self, kind, crop, roi):
        self.entered.set()
        assert self.gate.wait(SECONDS)
        return super()._look(kind, crop, roi)


class Listener:
    """Keeps the notifications, and on which thread."""

    def __init__(self):
        self.results, self.drops, self.errors = [], [], []
        self.threads = set()
        self.order = []

    def on_result(self, result):
        self.threads.add(threading.current_thread().name)
        self.results.append(result)
        self.order.append(result.frame_id)

    def on_drop(self, drop):
        self.threads.add(threading.current_thread().name)
        self.drops.append(drop)

    def on_error(self, failure):
        self.threads.add(threading.current_thread().name)
        self.errors.append(failure)

    @property
    def callbacks(self):
        return {"on_result": self.on_result, "on_drop": self.on_drop, "on_error": self.on_error}


@pytest.fixture
def method():
    return GatedMethod()


@pytest.fixture
def listener():
    return Listener()


def make_tracker(method, **options):
    return PoseTracker(fake_model(method), smoothing=False, **options)


def in_thread(call):
    """Start a call on a thread; the returned function waits for it, and gives what came of it."""
    outcome = []

    def run():
        try:
            outcome.append(call())
        except Exception as error:  # noqa: BLE001 - the test looks at it
            outcome.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def wait():
        thread.join(SECONDS)
        assert outcome, "the call hangs"
        return outcome[0]

    return wait


def threads_of_ours():
    return [t for t in threading.enumerate() if t.name.startswith("edgepose-")]


class TestResults:
    def test_they_come_in_frame_order_on_one_thread_of_their_own(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            ids = [tracker.submit(FRAME, 40.0 * step) for step in range(50)]
        assert ids == list(range(50))
        assert listener.order == ids
        assert [result.timestamp_ms for result in listener.results] == [40.0 * s for s in range(50)]
        assert listener.threads == {"edgepose-dispatch"}
        assert tracker.stats.poses == 50
        assert not threads_of_ours()

    def test_they_say_how_long_the_frame_waited(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            tracker.submit(FRAME)
        assert listener.results[0].latency["queue"] >= 0

    def test_flush_waits_for_the_callbacks(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            for _ in range(10):
                tracker.submit(FRAME)
            assert tracker.flush(SECONDS)
            assert len(listener.results) == 10

    def test_flush_gives_up_in_time(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            method.gate.clear()
            tracker.submit(FRAME)
            assert not tracker.flush(0.01)
            method.gate.set()

    def test_the_caller_may_use_the_frames_memory_again(self, method, listener):
        seen = []
        look = method._look
        method._look = lambda kind, crop, roi: (
            seen.append(int(crop.max())),
            look(kind, crop, roi),
        )[1]
        frame = np.full((240, 320, 3), 200, np.uint8)
        with make_tracker(method, **listener.callbacks) as tracker:
            method.gate.clear()
            tracker.submit(frame, roi=(80, 40, 160, 160))
            frame[:] = 0
            method.gate.set()
        assert set(seen) == {200}

    def test_eight_threads_may_submit(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            start = threading.Barrier(8)

            def send():
                start.wait(SECONDS)
                return [tracker.submit(FRAME) for _ in range(25)]

            sent = [number for wait in [in_thread(send) for _ in range(8)] for number in wait()]
        assert sorted(sent) == list(range(200))
        assert listener.order == list(range(200))

    def test_reset_drops_what_waits_and_counts_from_0(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            method.gate.clear()
            tracker.submit(FRAME, 100.0)
            assert method.entered.wait(SECONDS)
            tracker.submit(FRAME, 200.0)
            wait = in_thread(tracker.reset)
            method.gate.set()
            assert wait() is None
            assert tracker.submit(FRAME, 0.0) == 0
        assert [str(drop.reason) for drop in listener.drops] == ["reset", "reset"]
        assert [str(result.origin) for result in listener.results] == ["initialised"]


def test_frames_that_come_while_a_reset_waits_for_the_network_are_dropped_with_it():
    delivered = []
    pipeline = Pipeline(lambda _, notice: delivered.append(notice), workers=0)  # this thread works
    queue = StreamQueue(None, make_policy("every-frame"), StatsRecorder())
    pipeline.scheduler.add(queue)
    pipeline.start()
    pipeline.scheduler.submit(queue, FRAME, 10.0)
    _, job = pipeline.scheduler.next_job()
    wait = in_thread(lambda: pipeline.scheduler.reset(queue, StatsRecorder(), lambda: None))
    while not (queue.has_notification or delivered):
        pass  # the frame in work is being dropped, under the lock
    pipeline.scheduler.submit(queue, FRAME, 20.0)  # gets the lock when the reset waits
    pipeline.scheduler.finish(queue, job, [])
    assert wait() is None
    assert pipeline.scheduler.submit(queue, FRAME, 0.0) == 0
    pipeline.close(SECONDS, drain=False)
    assert delivered == [
        FrameDrop(0, 10.0, DropReason.RESET),
        FrameDrop(1, 20.0, DropReason.RESET),
        FrameDrop(0, 0.0, DropReason.CLOSED),
    ]


class TestPolicies:
    def test_every_frame_makes_submit_wait(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            method.gate.clear()
            wait = in_thread(lambda: [tracker.submit(FRAME) for _ in range(12)])
            assert method.entered.wait(SECONDS)
            method.gate.set()
            assert wait() == list(range(12))
        assert not tracker.stats.drops

    def test_a_missing_timestamp_is_that_of_the_call_not_of_the_end_of_its_wait(
        self, method, listener, monkeypatch
    ):
        with make_tracker(method, **listener.callbacks) as tracker:
            method.gate.clear()
            waited = threading.Event()
            queue = tracker._stream._session.queue
            now = time.monotonic()

            def room():
                waited.set()
                return go_on.is_set()

            go_on = threading.Event()
            monkeypatch.setattr(type(queue), "has_room", property(lambda _: room()))
            monkeypatch.setattr(time, "monotonic", lambda: now)
            submitted = in_thread(lambda: tracker.submit(FRAME))
            assert waited.wait(SECONDS)
            monkeypatch.setattr(time, "monotonic", lambda: now + 60)
            go_on.set()
            with tracker._stream._session.scheduler.lifecycle.changed:
                tracker._stream._session.scheduler.lifecycle.changed.notify_all()
            assert submitted() == 0
            method.gate.set()
            monkeypatch.undo()
            assert tracker.flush(SECONDS)
        assert listener.results[0].timestamp_ms == now * 1e3

    def test_latest_never_waits_and_drops_all_but_the_newest(self, method, listener, monkeypatch):
        # However slow the machine is, no frame becomes stale.
        monkeypatch.setitem(_POLICIES, "latest", lambda: Latest(max_age_ms=1e9))
        with make_tracker(method, policy="latest", **listener.callbacks) as tracker:
            method.gate.clear()
            tracker.submit(FRAME)
            assert method.entered.wait(SECONDS)
            for _ in range(9):
                tracker.submit(FRAME)
            method.gate.set()
        assert listener.order == [0, 9]
        assert [drop.frame_id for drop in listener.drops] == list(range(1, 9))
        assert tracker.stats.drops == {"superseded": 8}

    def test_a_slow_callback_slows_only_itself(self, method):
        gate, called = threading.Event(), threading.Event()

        def slow(result):
            called.set()
            assert gate.wait(SECONDS)

        with make_tracker(method, policy="latest", on_result=slow) as tracker:
            for _ in range(40):
                tracker.submit(FRAME)
            assert called.wait(SECONDS)
            before = tracker.submit(FRAME)
            assert before == 40
            gate.set()
        stats = tracker.stats
        assert stats.frames == 41 == stats.poses + sum(stats.drops.values())


class TestErrors:
    def test_a_bad_frame_or_timestamp_is_refused_at_once_and_costs_nothing_else(
        self, method, listener
    ):
        with make_tracker(method, **listener.callbacks) as tracker:
            tracker.submit(FRAME, 10.0)
            with pytest.raises(TimestampError):
                tracker.submit(FRAME, 10.0)
            with pytest.raises(FrameError):
                tracker.submit("frame.png", 20.0)
            assert tracker.submit(FRAME, 20.0) == 1
        stats = tracker.stats
        assert (stats.frames, stats.poses, stats.errors) == (4, 2, 2)

    def test_a_network_that_fails_costs_one_frame_and_reaches_on_error(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker:
            method.error = InferenceError("The device is gone.")
            tracker.submit(FRAME, 1.0)
            assert tracker.flush(SECONDS)
            tracker.submit(FRAME, 2.0)
        (failure,) = listener.errors
        assert (failure.frame_id, failure.timestamp_ms, failure.callback) == (0, 1.0, None)
        assert isinstance(failure.error, InferenceError)
        assert listener.order == [1]

    def test_without_on_error_close_raises_it(self, method):
        tracker = make_tracker(method, on_result=print)
        method.error = ValueError("a bug in a method")
        tracker.submit(FRAME)
        with pytest.raises(ValueError, match="a bug"):
            tracker.close()
        tracker.close()

    def test_an_exception_in_a_callback_reaches_on_error(self, method, listener):
        def fail(result):
            raise KeyError(result.frame_id)

        options = {**listener.callbacks, "on_result": fail}
        with make_tracker(method, **options) as tracker:
            for _ in range(3):
                tracker.submit(FRAME)
        assert [(f.callback, f.frame_id) for f in listener.errors] == [
            ("on_result", number) for number in range(3)
        ]
        stats = tracker.stats
        assert (stats.poses, stats.errors, stats.callback_errors) == (3, 0, 3)

    def test_without_on_error_it_is_raised_by_close_and_tracking_goes_on(self, method):
        delivered = []

        def fail(result):
            delivered.append(result.frame_id)
            raise KeyError(result.frame_id)

        tracker = make_tracker(method, on_result=fail)
        for _ in range(3):
            tracker.submit(FRAME)
        with pytest.raises(KeyError, match="0"):
            tracker.close()
        assert delivered == [0, 1, 2]

    def test_an_exception_in_on_error_is_raised_by_close_with_its_cause(self, method):
        def fail(_):
            raise KeyError("first")

        def fail_again(failure):
            raise RuntimeError("second")

        tracker = make_tracker(method, on_result=fail, on_error=fail_again)
        tracker.submit(FRAME)
        with pytest.raises(RuntimeError, match="second") as raised:
            tracker.close()
        assert isinstance(raised.value.__context__, KeyError)

    def test_an_error_of_the_program_is_not_hidden_by_one_of_a_callback(self, method):
        def fail(_):
            raise KeyError

        tracker = make_tracker(method, on_result=fail)
        with pytest.raises(ZeroDivisionError), tracker:
            tracker.submit(FRAME)
            tracker.flush(SECONDS)
            raise ZeroDivisionError

    def test_a_thread_that_ends_wakes_whoever_waits(self, method):
        def leave(_):
            raise SystemExit("a callback ends the thread")

        tracker = make_tracker(method, on_result=leave)
        tracker.submit(FRAME)
        with pytest.raises(ClosedError, match="a callback ends the thread"):
            tracker.flush(SECONDS)
        with pytest.raises(ClosedError):
            tracker.submit(FRAME)
        with pytest.raises(ClosedError, match="failed"):
            tracker.close()
        assert tracker.stats.pending == 0


class TestWaysIn:
    def test_track_and_submit_do_not_mix(self, method, listener):
        with make_tracker(method, **listener.callbacks) as tracker, pytest.raises(ConfigError):
            tracker.track(FRAME)
        with make_tracker(method) as tracker, pytest.raises(ConfigError, match="on_result"):
            tracker.submit(FRAME)

    def test_flush_in_a_callback_is_refused(self, method):
        failures = []
        tracker = make_tracker(
            method, on_result=lambda _: tracker.flush(), on_error=failures.append
        )
        tracker.submit(FRAME)
        assert tracker.flush(SECONDS)
        tracker.close()
        assert isinstance(failures[0].error, ConfigError)

    def test_submit_in_a_callback_is_fine_while_there_is_room(self, method):
        ids = []

        def again(result):
            ids.append(result.frame_id)
            if len(ids) < 5:
                tracker.submit(FRAME)

        tracker = make_tracker(method, on_result=again)
        tracker.submit(FRAME)
        while len(ids) < 5:
            assert tracker.flush(SECONDS)
        tracker.close()
        assert ids == list(range(5))

    def test_reset_in_a_callback_is_fine(self, method, listener):
        def reset_once(result):
            if not listener.results:
                tracker.reset()
            listener.on_result(result)

        tracker = make_tracker(method, on_result=reset_once)
        tracker.submit(FRAME, 100.0)
        assert tracker.flush(SECONDS)
        assert tracker.submit(FRAME, 0.0) == 0
        tracker.close()
        assert listener.order == [0, 0]

    def test_submit_in_a_callback_never_waits_for_itself(self, method):
        failures = []

        def flood(_):
            while True:
                tracker.submit(FRAME)

        tracker = make_tracker(method, on_result=flood, on_error=failures.append)
        method.gate.clear()
        wait = in_thread(lambda: tracker.submit(FRAME))
        assert wait() == 0
        method.gate.set()
        tracker.close(timeout=SECONDS)
        assert {type(failure.error) for failure in failures} <= {ConfigError, ClosedError}
        assert tracker.stats.pending == 0


class TestClose:
    def test_it_ends_a_reset_that_waits_for_a_network(self, method, listener):
        tracker = make_tracker(method, **listener.callbacks)
        method.gate.clear()
        tracker.submit(FRAME)
        assert method.entered.wait(SECONDS)
        wait = in_thread(tracker.reset)
        tracker.close(timeout=0.01)
        assert isinstance(wait(), ClosedError)
        method.gate.set()

    def test_a_callback_that_blocks_for_ever_does_not_block_close(self, method):
        for_ever, called = threading.Event(), threading.Event()

        def block(_):
            called.set()
            for_ever.wait()

        tracker = make_tracker(method, on_result=block)
        for _ in range(4):
            tracker.submit(FRAME)
        assert called.wait(SECONDS)
        wait = in_thread(lambda: tracker.close(timeout=0.01))
        assert wait() is None
        stats = tracker.stats
        assert (stats.frames, stats.poses, stats.drops, stats.pending) == (4, 1, {"closed": 3}, 0)
        for_ever.set()

    def test_a_network_that_blocks_for_ever_does_not_block_close(self, method, listener):
        tracker = make_tracker(method, **listener.callbacks)
        method.gate.clear()
        tracker.submit(FRAME)
        assert method.entered.wait(SECONDS)
        assert in_thread(lambda: tracker.close(timeout=0.01))() is None
        assert tracker.stats.drops == {"closed": 1}
        method.gate.set()

    def test_close_wakes_a_submit_that_waits(self, method, listener):
        tracker = make_tracker(method, **listener.callbacks)
        method.gate.clear()
        sent = []
        wait = in_thread(lambda: [sent.append(tracker.submit(FRAME)) for _ in range(100)])
        assert method.entered.wait(SECONDS)
        closing = in_thread(tracker.close)
        assert isinstance(wait(), ClosedError)
        method.gate.set()
        assert closing() is None
        assert listener.order == sent
        assert tracker.stats.frames == len(sent)

    def test_in_a_callback_it_returns_at_once(self, method):
        delivered = []

        def stop(result):
            delivered.append(result.frame_id)
            tracker.close()

        tracker = make_tracker(method, on_result=stop)
        tracker.submit(FRAME)
        threads = threads_of_ours()
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        tracker.close()
        assert delivered == [0]

    def test_in_a_callback_it_releases_the_networks_too(self, method, monkeypatch):
        released = threading.Event()
        model = PoseModel("owned", method, close=released.set)
        monkeypatch.setattr("edgepose.options.load", lambda _: model)
        tracker = PoseTracker("owned", on_result=lambda _: tracker.close())
        tracker.submit(FRAME)
        assert released.wait(SECONDS)

    def test_networks_in_use_are_released_only_afterwards(self, method, monkeypatch):
        released = threading.Event()
        model = PoseModel("owned", method, close=released.set)
        monkeypatch.setattr("edgepose.options.load", lambda _: model)
        tracker = PoseTracker("owned", on_result=print)
        method.gate.clear()
        tracker.submit(FRAME)
        assert method.entered.wait(SECONDS)
        tracker.close(timeout=0.01)
        assert not released.is_set()
        method.gate.set()
        assert released.wait(SECONDS)

    def test_from_many_threads_at_once_it_happens_once(self, method, listener):
        tracker = make_tracker(method, **listener.callbacks)
        tracker.submit(FRAME)
        waits = [in_thread(tracker.close) for _ in range(8)]
        assert [wait() for wait in waits] == [None] * 8
        assert listener.order == [0]

    def test_before_the_first_frame_and_twice_it_is_fine(self, method):
        tracker = make_tracker(method, on_result=print)
        tracker.close()
        tracker.close()
        with pytest.raises(ClosedError):
            tracker.submit(FRAME)
        with pytest.raises(ClosedError):
            tracker.flush()

    @pytest.mark.slow
    def test_a_thousand_opens_and_closes_leave_nothing(self, method, listener):
        before = threading.active_count()
        model = fake_model(method)
        for _ in range(1000):
            with PoseTracker(model, **listener.callbacks) as tracker:
                tracker.submit(FRAME, roi=(80, 40, 160, 160))
        assert len(listener.results) == 1000
        assert threading.active_count() == before

    def test_after_a_failed_start_it_is_legal(self, method, monkeypatch):
        tracker = make_tracker(method, on_result=print)

        def fail(self):
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", fail)
        with pytest.raises(EdgePoseError, match="can't start new thread"):
            tracker.submit(FRAME)
        monkeypatch.undo()
        with pytest.raises(ClosedError, match="new thread"):
            tracker.close()
        tracker.close()

    def test_a_forgotten_tracker_takes_its_threads_along(self, method, listener):
        tracker = make_tracker(method, **listener.callbacks)
        tracker.submit(FRAME)
        tracker.flush(SECONDS)
        threads, seen = threads_of_ours(), weakref.ref(tracker)
        del tracker
        gc.collect()
        assert seen() is None
        for thread in threads:
            thread.join(SECONDS)
            assert not thread.is_alive()

    def test_the_end_of_the_program_works_off_what_waits(self):
        program = (
            "import numpy as np\n"
            "from edgepose import PoseTracker\n"
            "from edgepose.testing import FakeMethod, fake_model\n"
            "model = fake_model(FakeMethod())\n"
            "tracker = PoseTracker(model, on_result=lambda result: print(result.frame_id))\n"
            "tracker.warmup()\n"
            "for _ in range(3):\n"
            "    tracker.submit(np.zeros((64, 64, 3), np.uint8))\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.split() == ["0", "1", "2"]

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
    def test_after_a_fork_the_child_is_told_and_the_parent_goes_on(self):
        program = (
            "import os, sys, numpy as np\n"
            "from edgepose import ClosedError, PoseTracker\n"
            "from edgepose.testing import FakeMethod, fake_model\n"
            "frame, ids = np.zeros((64, 64, 3), np.uint8), []\n"
            "tracker = PoseTracker(fake_model(FakeMethod()), on_result=lambda r: ids.append(r))\n"
            "tracker.submit(frame)\n"
            "child = os.fork()\n"
            "if not child:\n"
            "    try:\n"
            "        tracker.submit(frame)\n"
            "    except ClosedError as error:\n"
            "        assert 'fork' in str(error), error\n"
            "        tracker.close()\n"
            "        sys.exit(7)\n"
            "assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7\n"
            "tracker.submit(frame)\n"
            "tracker.close()\n"
            "assert len(ids) == 2\n"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, "")

    def test_a_fork_while_a_frame_is_tracked_leaves_no_call_hanging_in_the_child(
        self, method, monkeypatch
    ):
        tracker = make_tracker(method)
        with tracker._stream._lock:  # as track() holds it, which does not go on in the child
            monkeypatch.setattr(os, "getpid", lambda: tracker._stream._process + 1)
            assert isinstance(in_thread(lambda: tracker.track(FRAME))(), ClosedError)
            assert isinstance(in_thread(tracker.reset)(), ClosedError)
            monkeypatch.undo()
        tracker.close()

    def test_a_fork_while_a_frame_is_counted_leaves_no_look_at_it_hanging_in_the_child(
        self, method, monkeypatch
    ):
        tracker = make_tracker(method)
        with tracker._stream._recorder._lock:  # held by a thread that does not go on in the child
            monkeypatch.setattr(os, "getpid", lambda: tracker._stream._process + 1)
            assert isinstance(in_thread(lambda: tracker.stats)(), ClosedError)
            assert "another process" in in_thread(lambda: repr(tracker))()
            monkeypatch.undo()
        tracker.close()


class RandomLoad:
    """A tracker to which things are done by name."""

    def __init__(self, policy):
        self.method, self.listener = GatedMethod(), Listener()
        self.tracker = make_tracker(self.method, policy=policy, **self.listener.callbacks)
        self.waits = policy == "every-frame"
        self.sent = []

    def submit(self):
        if self.waits:
            self.go()
        self.sent.append(self.tracker.submit(FRAME, len(self.sent), roi=(80, 40, 160, 160)))

    def stall(self):
        self.method.gate.clear()

    def go(self):
        self.method.gate.set()

    def fail(self):
        self.method.error = InferenceError("broken")

    def refuse(self):
        with pytest.raises(TimestampError):
            self.tracker.submit(FRAME, np.nan)

    def flush(self):
        self.go()
        assert self.tracker.flush(SECONDS)

    def ended(self):
        listener = self.listener
        failures = [failure.frame_id for failure in listener.errors]
        return [*listener.order, *(drop.frame_id for drop in listener.drops), *failures]


@settings(max_examples=30)
@given(
    st.lists(st.sampled_from(["submit", "stall", "go", "fail", "refuse", "flush"]), max_size=40),
    st.sampled_from(["every-frame", "latest"]),
    st.booleans(),
)
def test_every_frame_ends_once_under_random_loads_and_stalls(steps, policy, in_time):
    load = RandomLoad(policy)
    for step in steps:
        getattr(load, step)()
    if in_time:
        load.go()
    load.tracker.close(SECONDS if in_time else 0.0)
    load.go()
    stats = load.tracker.stats
    assert stats.pending == 0
    assert stats.frames == len(load.sent) + steps.count("refuse")
    ended = load.ended()
    assert len(ended) == len(set(ended))
    assert len(ended) + stats.unreported == len(load.sent)
    assert load.listener.order == sorted(load.listener.order)


def test_the_state_table_lets_every_state_end():
    assert [state for state, ways in TRANSITIONS.items() if not ways] == [State.CLOSED]
    assert all(State.CLOSED in ways for ways in TRANSITIONS.values() if ways)
