import numpy as np
import pytest

from edgepose_runtime.capture import CapturedFrame, EventKind, open_source
from edgepose_runtime.capture.programs import CallableSource
from edgepose_runtime.errors import SourceError


def image(height=32, width=48, value=100):
    return np.full((height, width, 3), value, np.uint8)


def test_images_may_come_from_a_program(tmp_path):
    frames = list(open_source((image(value=value) for value in (1, 2)), fps=50))
    assert [frame.timestamp_ms for frame in frames] == [0, 20]
    assert int(frames[1].image[0, 0, 0]) == 2


def test_a_program_may_give_times(tmp_path):
    given = [CapturedFrame(7, image(), time) for time in (5.0, 9.0, 9.0)]
    frames = list(open_source(given, fps=50))
    assert [frame.frame_id for frame in frames] == [0, 1, 2]
    assert [frame.timestamp_ms for frame in frames] == [5, 9, 29]


def test_one_array_is_one_image_and_a_stack_is_several():
    assert [f.image.shape for f in open_source(image())] == [(32, 48, 3)]
    assert len(list(open_source(np.stack([image(), image()])))) == 2


def test_a_program_without_frames_is_refused():
    with pytest.raises(SourceError, match="frames of a list holds no frame"):
        list(open_source([]))


def test_a_function_is_called_for_each_frame_until_it_returns_none():
    left = [image(value=1), image(value=2), None]
    times = iter([5.0, 5.25])
    source = CallableSource(lambda: left.pop(0), fps=None, clock=lambda: next(times))
    frames = list(source)
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2]
    assert [frame.timestamp_ms for frame in frames] == [5000, 5250]
    assert not source.is_live


def test_a_function_with_a_frame_rate_is_not_timed_by_the_clock():
    left = [image(), image(), None]
    frames = list(open_source(lambda: left.pop(0), fps=50))
    assert [frame.timestamp_ms for frame in frames] == [0, 20]


def test_a_function_may_give_times():
    left = [CapturedFrame(0, image(), 7.0), None]
    (frame,) = open_source(lambda: left.pop(0))
    assert frame.timestamp_ms == 7.0


def test_what_a_function_raises_comes_out_of_the_iteration():
    def take():
        raise RuntimeError("the lens cap is on")

    with pytest.raises(RuntimeError, match="lens cap"):
        list(open_source(take))


def test_the_end_is_an_event():
    events = []
    frames = list(open_source([image()] * 3, fps=50, on_event=events.append))
    assert len(frames) == 3
    assert [(event.kind, event.timestamp_ms) for event in events] == [(EventKind.ENDED, 40.0)]


def test_a_source_that_is_closed_in_the_middle_just_stops():
    events = []
    source = open_source([image()] * 3, on_event=events.append)
    for _frame in source:
        source.close()
    assert events == []


def test_a_source_shows_its_name_and_state():
    source = open_source([image()])
    assert repr(source) == "<IterableSource frames of a list, open>"
    source.close()
    assert repr(source).endswith("closed>")


@pytest.mark.parametrize("kind", ["iterable", "function"])
def test_a_program_may_fill_the_same_array_again(kind):
    array = image(value=0)

    def fill():
        for value in (1, 2, 3):
            array[:] = value
            yield array

    frames = fill()
    source = open_source(frames if kind == "iterable" else lambda: next(frames, None))
    assert [frame.image.max() for frame in list(source)] == [1, 2, 3]
