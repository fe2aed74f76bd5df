"""A range of a video has exactly the frames that reading from the beginning has there."""

import numpy as np
import pytest

from edgepose.archive.units import ranges
from edgepose.archive.units.ranges import VideoRange, frame_times
from edgepose_runtime.capture.video import VideoSource

FRAMES = 100


@pytest.fixture(scope="module")
def whole(sample_clip):
    with VideoSource(sample_clip) as source:
        return [(frame.timestamp_ms, frame.image) for frame in source]


@pytest.mark.parametrize("start", [0, 1, 3, 7, 50, 71, 98, 99])
def test_a_range_begins_at_its_frame(start, sample_clip, whole):
    with VideoRange(sample_clip, start) as source:
        found = [(frame.timestamp_ms, frame.image) for frame in source]
    assert [time for time, _ in found] == [time for time, _ in whole[start:]]
    assert all(
        np.array_equal(image, other)
        for (_, image), (_, other) in zip(found, whole[start:], strict=True)
    )


@pytest.mark.parametrize("start", [5, 60])
def test_without_times_it_is_read_from_the_beginning(start, sample_clip, whole, monkeypatch):
    monkeypatch.setattr(ranges, "frame_times", lambda _: None)
    with VideoRange(sample_clip, start) as source:
        first = next(iter(source))
    assert first.timestamp_ms == whole[start][0]
    assert np.array_equal(first.image, whole[start][1])


def test_a_seek_that_leads_elsewhere_is_noticed(sample_clip, whole, monkeypatch):
    """Times that are not those of a steady rate lead OpenCV's seek to other frames."""
    times = frame_times(sample_clip)
    assert times is not None
    tried = []
    original = VideoRange._try_from

    def lead_astray(self, begin, start, times):
        tried.append(begin)
        return original(self, min(start + 20, len(times) - 2), start, times)

    monkeypatch.setattr(VideoRange, "_try_from", lead_astray)
    with VideoRange(sample_clip, 70) as source:
        first = next(iter(source))
    assert tried == [66, 6]
    assert first.timestamp_ms == whole[70][0]


def test_behind_the_end_there_is_nothing(sample_clip):
    with VideoRange(sample_clip, FRAMES) as source:
        assert list(source) == []
    with VideoRange(sample_clip, FRAMES + 50) as source:
        assert list(source) == []


def test_times_are_those_of_the_frames(sample_clip, whole):
    assert frame_times(sample_clip).tolist() == [time for time, _ in whole]
