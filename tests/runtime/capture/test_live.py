import contextlib
import gc
import os
import threading

import numpy as np
import pytest

from edgepose_runtime.capture import EventKind, LiveSettings
from edgepose_runtime.capture.live import LiveSource
from edgepose_runtime.errors import ClosedError, SourceError

LOST, RECONNECTED, ENDED = EventKind.LOST, EventKind.RECONNECTED, EventKind.ENDED
GONE = SourceError("somebody pulled the plug")


class Clock:
    """Stands still unless it is told to go on."""

    def __init__(self, now=100.0):
        self.now = now

    def __call__(self):
        return self.now


class Gate:
    """A call that blocks until the test opens it, as one into a driver that hangs."""

    def __init__(self):
        self.entered = threading.Event()
        self.opened = threading.Event()

    def __call__(self):
        self.entered.set()
        assert self.opened.wait(60), "the test forgot to open the gate"


class Camera:
    """Opens and reads as its script says, one list per connection.

    A number is a frame of that brightness, None a failed read, an error is raised, a gate blocks
    and then fails, and any other function is called on the way. A script that is at its end hangs
    until the camera is released.
    """

    def __init__(self, *connections):
        self.connections = list(connections)
        self.opened = self.closed = 0
        self.released = Gate()
        self.on_close = lambda: None

    def __call__(self):
        script = self.connections.pop(0) if self.connections else [self.released]
        if isinstance(script, Exception):
            raise script
        if isinstance(script, Gate):
            script()
            raise SourceError("too late")
        self.opened += 1
        return Connection(self, list(script))


class Connection:
    fps = 25.0
    finished = False

    def __init__(self, camera, script):
        self.camera = camera
        self.script = script

    def read(self):
        while callable(step := self.script.pop(0) if self.script else self.camera.released):
            step()
            if isinstance(step, Gate):
                return None
        if isinstance(step, Exception):
            raise step
        if step == "end":
            self.finished = True
            return None
        return None if step is None else np.full((4, 6, 3), step, np.uint8)

    def close(self):
        self.camera.closed += 1
        self.camera.on_close()


class Consumed:
    """Lets the reader go on when the frame before was taken, so that none is skipped."""

    def __init__(self):
        self.taken = threading.Semaphore(0)

    def __call__(self):
        assert self.taken.acquire(timeout=60)


def live(camera, clock=None, waits=None, **settings):
    """A source of a pretended camera that notes the waits between attempts and skips them."""
    noted = [] if waits is None else waits
    return LiveSource(
        "camera 7",
        camera,
        settings=LiveSettings(**{"close_timeout_s": 0.01, **settings}),
        clock=clock or Clock(),
        randomness=lambda: 0.0,
        wait=lambda seconds: noted.append(seconds) is not None,
    )


@contextlib.contextmanager
def watched(camera, **options):
    """A live source and the log of what it published; the camera lets go at the end."""
    log = []
    try:
        with live(camera, **options) as source:
            source.subscribe(lambda event: log.append(event.kind))
            yield source, log
    finally:
        camera.released.opened.set()


def brightness(frame):
    return int(frame.image[0, 0, 0])


def test_frames_are_stamped_when_they_arrive():
    clock, taken = Clock(100.0), Consumed()
    later = lambda: setattr(clock, "now", clock.now + 0.25)  # noqa: E731
    with watched(Camera([1, taken, later, 2, taken, later, 3]), clock=clock) as (source, log):
        assert source.is_live
        assert source.fps == 25.0
        frames = iter(source)
        stamps = []
        for _ in range(3):
            stamps.append(next(frames).timestamp_ms)
            taken.taken.release()
    assert stamps == [100_000, 100_250, 100_500]
    assert log == []


def test_a_clock_that_stands_still_does_not_make_up_times():
    taken = Consumed()
    with watched(Camera([1, taken, 2])) as (source, _log):
        frames = iter(source)
        first = next(frames).timestamp_ms
        taken.taken.release()
        assert next(frames).timestamp_ms == np.nextafter(first, np.inf)


def test_a_slow_receiver_gets_the_newest_frame_and_the_rest_is_counted():
    camera = Camera([1, 2, 3])
    with watched(camera) as (source, _log):
        assert camera.released.entered.wait(60)
        assert brightness(next(iter(source))) == 3
        assert source.num_skipped == 2


def test_a_lost_camera_is_opened_again_and_both_are_events():
    taken, waits = Consumed(), []
    camera = Camera([1, taken, GONE], GONE, GONE, [2, taken, 3])
    with watched(camera, waits=waits) as (source, log):
        frames = iter(source)
        log.append(brightness(next(frames)))
        taken.taken.release()
        log.append(brightness(next(frames)))
        taken.taken.release()
        log.append(brightness(next(frames)))
    assert log == [1, LOST, RECONNECTED, 2, 3]
    assert waits == [0.5, 1.0, 2.0]
    assert (camera.opened, camera.closed) == (2, 2 - source.num_hung)


def test_a_camera_that_opens_without_delivering_is_not_back_and_waits_grow():
    taken, waits = Consumed(), []
    with watched(Camera([1, taken, GONE], [GONE], [GONE], [2]), waits=waits) as (source, log):
        frames = iter(source)
        next(frames)
        taken.taken.release()
        next(frames)
    assert log == [LOST, RECONNECTED]
    assert waits == [0.5, 1.0, 2.0]


def test_damaged_frames_in_the_middle_are_no_loss():
    taken = Consumed()
    with watched(Camera([1, taken, None, None, None, 2])) as (source, log):
        frames = iter(source)
        assert brightness(next(frames)) == 1
        taken.taken.release()
        assert brightness(next(frames)) == 2
    assert log == []


def test_a_camera_that_only_fails_to_read_is_lost():
    taken = Consumed()
    with watched(Camera([1, taken, *[None] * 8, 99], [2])) as (source, log):
        frames = iter(source)
        next(frames)
        taken.taken.release()
        assert brightness(next(frames)) == 2
    assert log == [LOST, RECONNECTED]


def test_few_failed_reads_are_a_loss_too_if_they_take_long():
    clock, taken = Clock(), Consumed()
    later = lambda: setattr(clock, "now", clock.now + 6)  # noqa: E731
    camera = Camera([1, taken, later, None, later, None, 99], [2])
    with watched(camera, clock=clock) as (source, log):
        frames = iter(source)
        next(frames)
        taken.taken.release()
        assert brightness(next(frames)) == 2
    assert log == [LOST, RECONNECTED]


def test_a_read_that_blocks_for_ever_is_left_behind():
    clock, gate = Clock(), Gate()
    camera = Camera([1, gate, 99], [2])
    with watched(camera, clock=clock) as (source, log):
        frames = iter(source)
        log.append(brightness(next(frames)))
        assert gate.entered.wait(60)
        clock.now += 11
        log.append(brightness(next(frames)))
        assert source.num_hung == 1
        gate.opened.set()
    assert log == [1, LOST, RECONNECTED, 2]


def test_a_camera_that_hangs_while_it_is_let_go_of_is_left_behind():
    clock, gate = Clock(), Gate()
    camera = Camera([1, GONE], [2])
    camera.on_close = gate
    with watched(camera, clock=clock) as (source, log):
        frames = iter(source)
        log.append(brightness(next(frames)))
        assert gate.entered.wait(60)
        camera.on_close = lambda: None
        clock.now += 11
        log.append(brightness(next(frames)))
        assert source.num_hung == 1
        gate.opened.set()
    assert log == [1, LOST, RECONNECTED, 2]


def test_a_frame_that_comes_after_its_reader_was_left_behind_is_dropped():
    clock, late, new = Clock(), Gate(), Gate()
    camera = Camera([1, lambda: late(), 66], [lambda: new(), 2])
    with watched(camera, clock=clock) as (source, log):
        frames = iter(source)
        next(frames)
        assert late.entered.wait(60)
        clock.now += 11
        source._look_after_reader()
        assert new.entered.wait(60)
        late.opened.set()
        source._hung[0].join(60)
        new.opened.set()
        assert brightness(next(frames)) == 2
    assert log == [LOST, RECONNECTED]


def test_after_a_read_that_blocks_opening_is_tried_more_than_once():
    clock, gate, waits = Clock(), Gate(), []
    with watched(Camera([1, gate], GONE, GONE, [2]), clock=clock, waits=waits) as (source, log):
        frames = iter(source)
        next(frames)
        assert gate.entered.wait(60)
        clock.now += 11
        assert brightness(next(frames)) == 2
        assert waits == [0.5, 1.0, 2.0]
        gate.opened.set()
    assert log == [LOST, RECONNECTED]


def test_not_ever_more_reads_are_left_behind():
    clock, gates = Clock(), [Gate() for _ in range(3)]
    camera = Camera([1, gates[0]], gates[1], gates[2], [2])
    with watched(camera, clock=clock) as (source, log):
        frames = iter(source)
        next(frames)
        answer = []
        consumer = threading.Thread(target=lambda: answer.append(brightness(next(frames))))
        consumer.start()
        for gate in gates:
            assert gate.entered.wait(60)
            clock.now += 11
        while source.num_hung < 3:
            assert consumer.is_alive()
        assert camera.opened == 1
        gates[1].opened.set()
        consumer.join(60)
        assert answer == [2]
        for gate in gates:
            gate.opened.set()
    assert log == [LOST, RECONNECTED]


def test_a_camera_that_is_not_there_is_refused():
    with pytest.raises(SourceError, match="pulled the plug"):
        live(Camera(GONE))


def test_a_source_that_never_opens_is_refused_in_time(caplog):
    gate = Gate()
    with pytest.raises(SourceError, match=r"camera 7 did not open within 0\.01 s"):
        live(Camera(gate), open_timeout_s=0.01)
    assert "left behind" in caplog.text
    gate.opened.set()


def test_also_the_first_opening_is_repeated_if_asked_for():
    waits = []
    with watched(Camera(GONE, GONE, [1]), waits=waits, retry_first=True) as (source, log):
        assert brightness(next(iter(source))) == 1
    assert log in ([LOST, RECONNECTED], [RECONNECTED])
    assert waits == [0.5, 1.0]


def test_attempts_may_be_limited():
    camera = Camera([1, GONE], GONE, GONE)
    with (
        watched(camera, attempts=2) as (source, log),
        pytest.raises(
            SourceError, match="camera 7 is gone after 2 attempts: somebody pulled the plug"
        ),
    ):
        for frame in source:
            log.append(brightness(frame))
    assert log == [1, LOST, ENDED]


def test_a_stream_may_come_to_its_end():
    with watched(Camera([1, "end"])) as (source, log):
        log.extend(brightness(frame) for frame in source)
    assert log == [1, ENDED]


def test_what_nobody_expected_reaches_who_iterates():
    camera = Camera([1, ZeroDivisionError("at rtsp://a:secret@cam/1")])
    with watched(camera) as (source, log), pytest.raises(SourceError) as caught:
        log.extend(brightness(frame) for frame in source)
    assert "camera 7 failed: at rtsp://***@cam/1" in str(caught.value)
    assert log == [1, ENDED]
    assert "secret" not in str(caught.value)


def test_closing_returns_although_a_read_blocks_for_ever(caplog):
    camera = Camera([])
    with live(camera) as source:
        assert camera.released.entered.wait(60)
    assert source.num_hung == 1
    assert "camera 7: a call does not return" in caplog.text
    source.close()
    camera.released.opened.set()
    with pytest.raises(ClosedError):
        next(iter(source))


def test_stopping_does_not_wait_for_a_read_and_ends_the_iteration():
    gate = Gate()
    camera = Camera([1, gate])
    source = live(camera, close_timeout_s=60)
    frames = iter(source)
    next(frames)
    assert gate.entered.wait(60)
    source.stop()
    assert list(frames) == []
    gate.opened.set()
    source.close()
    assert camera.closed == 1


def test_closing_from_another_thread_ends_the_iteration():
    with watched(Camera([1])) as (source, log):
        frames = iter(source)
        next(frames)
        closer = threading.Thread(target=source.close)
        closer.start()
        assert list(frames) == []
        closer.join(60)
    assert log == []


def test_closing_ends_a_wait_between_attempts():
    patience = LiveSettings(first_delay_s=1000, longest_delay_s=1000, close_timeout_s=60)
    with LiveSource("camera 7", Camera([GONE]), settings=patience) as source:
        source.subscribe(lambda _event: source.close())
        assert list(source) == []
    assert not source._reader.is_alive()


def test_what_a_listener_raises_comes_out_of_the_iteration():
    def complain(_event):
        raise ValueError("not again")

    with watched(Camera([GONE])) as (source, _log):
        source.subscribe(complain)
        with pytest.raises(ValueError, match="not again"):
            next(iter(source))


def test_a_source_that_is_forgotten_stops_reading():
    taken = Consumed()
    camera = Camera([1, taken, 2])
    reader = live(camera)._reader
    gc.collect()
    taken.taken.release()
    camera.released.opened.set()
    reader.join(60)
    assert not reader.is_alive()


def test_a_thousand_sources_leave_no_thread_behind():
    before = threading.active_count()
    for _ in range(1000):
        with LiveSource("camera 7", Camera([1, GONE])) as source:
            next(iter(source))
    assert threading.active_count() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_process_says_that_it_has_no_camera(monkeypatch):
    with watched(Camera([1])) as (source, _log):
        frames = iter(source)
        next(frames)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        with pytest.raises(SourceError, match="before this process was forked"):
            next(frames)
