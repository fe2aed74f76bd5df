import threading

from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.capture.frame_buffer import End, FrameBuffer, TimedImage
from edgepose_runtime.events import EventKind, StreamEvent


def shot(number):
    return TimedImage(None, float(number))


def event(number, kind=EventKind.LOST):
    return StreamEvent(kind, float(number))


def frame_buffer(*items):
    created = FrameBuffer()
    created.take_over("reader")
    for item in items:
        created.put("reader", item)
    return created


def test_a_newer_frame_takes_the_place_of_one_that_nobody_took():
    held = frame_buffer(shot(1), shot(2), shot(3))
    assert held.take(0) == shot(3)
    assert held.take(0) is None
    assert held.skipped == 2


def test_events_keep_their_place_among_the_frames():
    held = frame_buffer(shot(1), event(2))
    assert [held.take(0), held.take(0)] == [shot(1), event(2)]
    held = frame_buffer(shot(1), event(2), event(3), shot(4))
    assert [held.take(0) for _ in range(3)] == [event(2), event(3), shot(4)]


@given(st.lists(st.booleans(), max_size=200))
def test_whatever_comes_memory_is_bounded_and_the_newest_are_kept(kinds):
    items = [shot(i) if is_shot else event(i) for i, is_shot in enumerate(kinds)]
    held = frame_buffer(*items)
    held.end("reader")
    taken = list(iter(lambda: held.take(0), End()))
    assert len(taken) <= 33
    assert taken == sorted(taken, key=lambda item: item.timestamp_ms)
    shots = [item for item in items if isinstance(item, TimedImage)]
    events = [item for item in items if isinstance(item, StreamEvent)]
    assert [item for item in taken if isinstance(item, TimedImage)] == shots[-1:]
    assert [item for item in taken if isinstance(item, StreamEvent)] == events[-32:]
    assert held.skipped == max(0, len(shots) - 1)


def test_only_the_owner_is_heard():
    held = frame_buffer()
    held.take_over("successor")
    held.put("reader", shot(1))
    held.end("reader")
    held.put("successor", shot(2))
    assert held.take(0) == shot(2)
    assert held.take(0) is None


def test_the_end_comes_last_and_stays():
    error = ValueError()
    held = frame_buffer(shot(1))
    held.end("reader", error)
    held.put("reader", shot(2))
    assert held.take(0) == shot(1)
    assert held.take(0) == held.take(0) == End(error)


def test_closing_wakes_who_waits():
    held, taken = frame_buffer(), []
    taker = threading.Thread(target=lambda: taken.append(held.take(60)))
    taker.start()
    held.close()
    taker.join(30)
    assert taken == [End()]
