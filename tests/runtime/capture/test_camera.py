import numpy as np
import pytest

from edgepose_runtime.capture import camera as camera_module
from edgepose_runtime.capture import open_source
from edgepose_runtime.capture.camera import CameraSource
from edgepose_runtime.errors import SourceError


class FakeDevice:
    """Delivers ``num_frames`` frames and then fails."""

    def __init__(self, num_frames=3, opened=True):
        self.left = num_frames
        self.opened = opened

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return self.opened

    def get(self, _property):
        return 0.0

    def read(self):
        self.left -= 1
        return self.left >= 0, np.zeros((4, 6, 3), np.uint8)

    def release(self):
        self.opened = False


def test_frames_are_timed_by_their_arrival():
    times = iter([100.0, 100.5, 101.25, 102.0])
    source = CameraSource(0, open_device=lambda _index: FakeDevice(), clock=lambda: next(times))
    assert source.is_live
    assert source.fps is None
    frames = iter(source)
    assert [next(frames).timestamp_ms for _ in range(3)] == [500, 1250, 2000]
    with pytest.raises(SourceError, match="camera 0 stopped delivering frames"):
        next(frames)


def test_a_camera_that_is_not_there_is_refused():
    with pytest.raises(SourceError, match="camera 9 cannot be opened"):
        CameraSource(9, open_device=lambda _index: FakeDevice(opened=False))


def test_a_number_names_a_camera_also_as_text(monkeypatch):
    seen = []
    monkeypatch.setattr(camera_module, "CameraSource", seen.append)
    open_source(2)
    open_source("3")
    assert seen == [2, 3]


@pytest.mark.parametrize("source", [-1, 10**20, "99999999999999999999"])
def test_a_number_that_no_camera_has_is_refused(source):
    with pytest.raises(SourceError, match="numbered from 0"):
        open_source(source)


def test_closing_lets_go_of_the_camera():
    device = FakeDevice()
    with CameraSource(0, open_device=lambda _index: device) as source:
        assert next(iter(source)).image.shape == (4, 6, 3)
    assert not device.isOpened()
