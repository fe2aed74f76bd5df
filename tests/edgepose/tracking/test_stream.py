"""tracker.stream(): sources of any kind, their losses and their ends."""

import contextlib
import itertools
import threading
import weakref
from collections import deque
from collections.abc import Iterator

import numpy as np
import pytest

from edgepose.keyframes import KeyFrames
from edgepose.streaming.flow_control import _POLICIES, QUEUED_FRAMES, Latest
from edgepose.streaming.stream_queue import QUEUED_RESULTS
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.capture import FrameSource
from edgepose_runtime.errors import (
    ClosedError,
    ConfigError,
    FrameError,
    InferenceError,
    SourceError,
)
from edgepose_runtime.events import EventKind, StreamEvent

FRAME = np.zeros((240, 320, 3), np.uint8)
PERSON = standing_person((160, 120), height=120)
SECONDS = 20.0


class ScriptedSource(FrameSource):
    """Delivers what it is told to: frames, events and errors."""

    is_live = True

    def __init__(self, script):
        super().__init__("script")
        self.script = script

    def _frames(self) -> Iterator:
        for stamp, step in enumerate(self.script):
            if isinstance(step, EventKind):
                self._publish(StreamEvent(step, float(stamp)))
            elif isinstance(step, Exception):
                raise step
            elif callable(step):
                step()
            else:
                yield step, 40.0 * stamp


@pytest.fixture
def method():
    return FakeMethod(PERSON)


def make_tracker(method, **options):
    return PoseTracker(fake_model(method), smoothing=False, **options)


def origins(results):
    return [str(result.origin) for result in results]


def test_every_frame_of_an_iterable_has_its_result(method):
    with make_tracker(method) as tracker:
        results = list(tracker.stream([FRAME] * 40))
    assert [result.frame_id for result in results] == list(range(40))
    assert results[30].timestamp_ms == pytest.approx(1000.0)
    assert tracker.stats.poses == 40


def test_a_video_is_tracked_from_its_path(puppet_bundle, puppet_video):
    with PoseTracker(puppet_bundle.path, num_threads=1) as tracker:
        assert origins(tracker.stream(puppet_video)) == ["initialised"] + ["propagated"] * 11


def test_a_source_that_is_not_there_is_an_error_at_once(method):
    with make_tracker(method) as tracker, pytest.raises(SourceError, match="nowhere"):
        tracker.stream("/nowhere/to/be/found.mp4")


def test_one_stream_after_the_other_starts_afresh(method):
    with make_tracker(method) as tracker:
        for _ in range(3):
            assert origins(tracker.stream([FRAME] * 2)) == ["initialised", "propagated"]
        assert tracker.track(FRAME, timestamp_ms=0).frame_id == 0
        assert tracker.stats.frames == 7


def test_a_live_source_is_tracked_with_the_latest_frame(method, monkeypatch):
    # However slow the machine is, no frame becomes stale.
    monkeypatch.setitem(_POLICIES, "latest", lambda: Latest(max_age_ms=1e9))
    entered, gate = threading.Event(), threading.Event()
    look = method._look

    def wait(kind, crop, roi):
        entered.set()
        assert gate.wait(SECONDS)
        return look(kind, crop, roi)

    method._look = wait
    script = [FRAME, lambda: entered.wait(SECONDS), *[FRAME] * 5, gate.set]
    drops = []
    with make_tracker(method, on_drop=drops.append) as tracker:
        results = list(tracker.stream(ScriptedSource(script)))
    assert [result.frame_id for result in results] == [0, 5]
    assert [(drop.frame_id, str(drop.reason)) for drop in drops] == [
        (number, "superseded") for number in range(1, 5)
    ]


def test_after_a_loss_tracking_starts_afresh_and_the_user_is_told(method):
    script = [FRAME, FRAME, EventKind.LOST, EventKind.RECONNECTED, FRAME, FRAME]
    events = []
    with make_tracker(method, policy="every-frame", on_event=events.append) as tracker:
        results = list(tracker.stream(ScriptedSource(script)))
    assert origins(results) == ["initialised", "propagated", "initialised", "propagated"]
    assert [str(event.kind) for event in events][:2] == ["lost", "reconnected"]


def test_the_error_of_a_source_comes_after_its_frames(method):
    script = [FRAME, FRAME, SourceError("The plug was pulled.")]
    with make_tracker(method, policy="every-frame") as tracker:
        stream = tracker.stream(ScriptedSource(script))
        assert origins([next(stream), next(stream)]) == ["initialised", "propagated"]
        with pytest.raises(SourceError, match="plug"):
            next(stream)


def test_a_source_that_was_closed_before_is_an_error(method):
    source = ScriptedSource([FRAME])
    source.close()
    with make_tracker(method) as tracker, pytest.raises(ClosedError, match="open it again"):
        list(tracker.stream(source))


def test_flush_in_the_loop_is_refused_as_it_would_wait_for_the_loop(method):
    with make_tracker(method) as tracker:
        for _ in tracker.stream([FRAME] * 3):
            with pytest.raises(ConfigError, match="submit"):
                tracker.flush()


def test_what_on_error_raises_is_raised_by_close_also_after_leaving_the_loop(method):
    raised = threading.Event()

    def fail(_):
        raised.set()
        raise KeyError("on_error failed")

    tracker = make_tracker(method, on_error=fail)
    for _ in tracker.stream([FRAME, "no frame", FRAME]):
        assert raised.wait(SECONDS)
        break
    with pytest.raises(KeyError, match="on_error failed"):
        tracker.close()
    tracker.close()


def test_a_frame_that_fails_ends_the_loop_unless_on_error_takes_it(method):
    frames = [FRAME, "no frame", FRAME]
    with make_tracker(method) as tracker, pytest.raises(FrameError):
        list(tracker.stream(frames))
    failures = []
    with make_tracker(method, on_error=failures.append) as tracker:
        assert len(list(tracker.stream(frames))) == 2
        method.error = InferenceError("broken")
        assert len(list(tracker.stream([FRAME, FRAME]))) == 1
    assert [type(failure.error) for failure in failures] == [FrameError, InferenceError]
    stats = tracker.stats
    assert (stats.frames, stats.errors, stats.pending) == (5, 2, 0)


def test_leaving_the_loop_closes_the_source_and_ends_the_threads(method):
    source = ScriptedSource([FRAME] * 1000)
    with make_tracker(method, policy="every-frame") as tracker:
        for result in tracker.stream(source):
            if result.frame_id == 3:
                break
        # The loop's generator is collected here.
        assert source.closed
        stats = tracker.stats
        assert stats.pending == 0
        assert stats.frames == stats.poses + sum(stats.drops.values())
    assert not [t for t in threading.enumerate() if t.name.startswith("edgepose-")]


def test_a_read_that_blocks_for_ever_does_not_keep_the_loop_from_ending(method):
    for_ever = threading.Event()
    source = ScriptedSource([FRAME, for_ever.wait])
    with make_tracker(method) as tracker:
        stream = tracker.stream(source)
        assert next(stream).frame_id == 0
        stream.close()
    for_ever.set()


def test_reset_in_the_loop_leaves_no_result_from_before(method):
    with make_tracker(method) as tracker:
        results = tracker.stream(FRAME for _ in range(100_000))
        for _ in range(20):
            next(results)
            settle(tracker)  # one result waits for the loop, and one for that
            tracker.reset()
            assert next(results).frame_id == 0
            tracker.reset()  # at any moment
            assert next(results).frame_id == 0
        results.close()


def test_results_that_the_loop_did_not_come_to_are_counted_once(method):
    tracker = make_tracker(method)
    results = tracker.stream([FRAME] * 30)
    next(results)
    settle(tracker)
    results.close()
    stats = tracker.stats
    assert stats.pending == 0
    assert stats.poses == 3
    assert stats.frames == stats.poses + sum(stats.drops.values())
    tracker.close()


def settle(tracker):
    """Wait until a result is in the loop's hand, and the next one waits for it to be taken."""
    session = tracker._stream._session
    changed = session.scheduler.lifecycle.changed
    with changed:
        assert changed.wait_for(lambda: tracker.stats.poses >= 3, SECONDS)


def test_a_loop_that_begins_while_the_tracker_closes_ends(method, monkeypatch):
    tracker = make_tracker(method)
    opening, go_on = threading.Event(), threading.Event()
    restart = tracker._stream._restart

    def slowly(*policy):
        opening.set()
        assert go_on.wait(SECONDS)
        restart(*policy)

    def loop():
        with contextlib.suppress(ClosedError):
            deque(tracker.stream(itertools.repeat(FRAME)), maxlen=1)

    monkeypatch.setattr(tracker._stream, "_restart", slowly)
    looping = threading.Thread(target=loop, daemon=True)
    looping.start()
    assert opening.wait(SECONDS)
    closing = threading.Thread(target=tracker.close, daemon=True)
    closing.start()
    while not tracker._stream.closed:
        pass
    go_on.set()
    closing.join(SECONDS)
    looping.join(SECONDS)
    assert not closing.is_alive()
    assert not looping.is_alive()


def images_of(error):
    """Return the frames that an error keeps alive."""
    found, step = [], error.__traceback__
    while step is not None:
        known = step.tb_frame.f_locals.values()
        found += [each for each in known if isinstance(each, np.ndarray)]
        step = step.tb_next
    return found


@pytest.mark.parametrize("refused", [True, False])
def test_errors_that_wait_to_be_told_keep_no_frame(method, refused):
    failures = []
    image = FRAME.astype(np.float32) if refused else FRAME.copy()
    method.error = None if refused else InferenceError("The network fails.")
    with make_tracker(method, on_error=failures.append) as tracker:
        list(tracker.stream([image]))
    (failure,) = failures
    assert images_of(failure.error) == []


def test_closing_the_tracker_ends_the_loop(method):
    go_on = threading.Event()
    tracker = make_tracker(method)
    results = []

    def consume():
        for result in tracker.stream(ScriptedSource([FRAME, go_on.wait, FRAME])):
            results.append(result)
            notified.set()

    notified = threading.Event()
    consumer = threading.Thread(target=consume)
    consumer.start()
    assert notified.wait(SECONDS)
    tracker.close()
    go_on.set()
    consumer.join(SECONDS)
    assert not consumer.is_alive()
    assert len(results) == 1
    with pytest.raises(ClosedError):
        tracker.stream([FRAME])


def test_closing_a_tracker_in_the_loop_just_ends_it_with_networks_of_its_own(puppet_bundle, puppet):
    tracker = PoseTracker(puppet_bundle.path, num_threads=1)
    frames = 0
    for _ in tracker.stream([puppet((160, 120))] * 20):
        frames += 1
        tracker.close()
    assert frames == 1


def test_a_tracker_tracks_one_source_and_in_one_way(method):
    with make_tracker(method) as tracker:
        stream = tracker.stream([FRAME] * 3)
        next(stream)
        with pytest.raises(ConfigError, match="another"):
            next(tracker.stream([FRAME]))
        with pytest.raises(ConfigError):
            tracker.track(FRAME)
        stream.close()
    with make_tracker(method, on_result=print) as tracker, pytest.raises(ConfigError):
        tracker.stream([FRAME])


def test_a_callback_that_ends_its_thread_ends_the_loop(method):
    def leave(_):
        raise SystemExit("gone")

    script = [FRAME, EventKind.LOST, FRAME, FRAME]
    tracker = make_tracker(method, policy="every-frame", on_event=leave)
    with pytest.raises(ClosedError, match="gone"):
        list(tracker.stream(ScriptedSource(script)))
    tracker.close()


class HoldBack:
    """A refinement that changes nothing, some frames late."""

    def __init__(self, lag_frames):
        self.lag_frames = lag_frames
        self.reset()

    def new_refiner(self, _model, _smoothing):
        return HoldBack(self.lag_frames)

    def warmup(self):
        pass

    def take(self, tracked):
        self._held.append(tracked.result)
        return [self._held.popleft()] if len(self._held) > self.lag_frames else []

    def flush(self):
        held = list(self._held)
        self._held.clear()
        return held

    def reset(self):
        self._held = deque()


class TestWithFrames:
    """``stream(source, with_frames=True)`` pairs each result with its own image."""

    @staticmethod
    def numbered(count):
        """Frames whose number is written into their pixels."""
        return [np.full(FRAME.shape, number, np.uint8) for number in range(count)]

    @staticmethod
    def numbers(pairs):
        return [(int(frame[0, 0, 0]), result.frame_id) for frame, result in pairs]

    def test_each_result_comes_with_its_frame(self, method):
        with make_tracker(method) as tracker:
            pairs = list(tracker.stream(self.numbered(30), with_frames=True))
        assert self.numbers(pairs) == [(number, number) for number in range(30)]
        assert all(frame.dtype == np.uint8 and frame.shape == FRAME.shape for frame, _ in pairs)

    @pytest.mark.parametrize(
        "options", [{"key_frames": KeyFrames(lag_frames=5)}, {"refine": HoldBack(7)}]
    )
    def test_results_that_are_held_back_come_with_their_own_frames(self, method, options):
        with PoseTracker(fake_model(method), **options) as tracker:
            pairs = list(tracker.stream(self.numbered(20), with_frames=True))
        assert self.numbers(pairs) == [(number, number) for number in range(20)]

    def test_grey_frames_come_as_bgr(self, method):
        with make_tracker(method) as tracker:
            ((frame, _),) = tracker.stream([FRAME[:, :, 0]], with_frames=True)
        assert frame.shape == FRAME.shape

    def test_frames_in_memory_are_bounded(self, method):
        alive = 0

        def freed():
            nonlocal alive
            alive -= 1

        def frames():
            nonlocal alive
            for _ in range(200):
                frame = FRAME.copy()
                alive += 1
                weakref.finalize(frame, freed)
                yield frame

        most = 0
        with make_tracker(method) as tracker:
            for _pair in tracker.stream(frames(), with_frames=True):
                most = max(most, alive)
        assert most <= QUEUED_RESULTS + QUEUED_FRAMES + 6

    def test_a_reset_in_the_loop_pairs_what_follows(self, method):
        with make_tracker(method) as tracker:
            pairs = tracker.stream(self.numbered(200), with_frames=True)
            for _ in range(3):
                next(pairs)
            tracker.reset()
            first, second = next(pairs), next(pairs)
        assert [result.frame_id for _, result in (first, second)] == [0, 1]
        assert int(second[0][0, 0, 0]) == int(first[0][0, 0, 0]) + 1
