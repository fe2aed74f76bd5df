import numpy as np
import pytest

from edgepose_runtime.capture.synthetic import SyntheticSource
from edgepose_runtime.errors import ConfigError


def test_frames_are_the_same_each_time_and_move():
    first, second = (list(SyntheticSource(4, size=(64, 48), fps=10)) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.image, other.image)
    assert [frame.timestamp_ms for frame in first] == pytest.approx([0, 100, 200, 300])
    assert not np.array_equal(first[0].image, first[3].image)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (16, 16), (200, 50)])
def test_the_puppet_is_whole_and_in_the_frame_at_all_times(size):
    source = SyntheticSource(None, size=size)
    for frame_id in range(0, 600, 7):
        joints = source.joints(frame_id)
        assert joints.shape == (13, 2)
        assert (joints >= 0).all()
        assert (joints < size).all()
    assert source.draw(0).shape == (size[1], size[0], 3)


def test_it_need_not_end():
    source = SyntheticSource(None, size=(16, 16))
    assert source.num_frames is None
    frames = iter(source)
    assert [next(frames).frame_id for _ in range(400)][-1] == 399


@pytest.mark.parametrize("wrong", [{"num_frames": 0}, {"size": (640, 8)}])
def test_what_cannot_be_drawn_is_refused(wrong):
    with pytest.raises(ConfigError):
        SyntheticSource(**wrong)
