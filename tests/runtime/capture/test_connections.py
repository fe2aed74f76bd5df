import cv2
import numpy as np
import pytest

from edgepose_runtime import capture
from edgepose_runtime.capture import LiveSettings, connections, open_source
from edgepose_runtime.capture.connections import (
    OpenCvConnection,
    connect_address,
    connect_camera,
    connect_pipeline,
)
from edgepose_runtime.errors import SourceError

FRAME = np.zeros((4, 6, 3), np.uint8)


class FakeDevice:
    """Reads what it is given, then fails."""

    def __init__(self, reads=(), opened=True, fps=0.0, num_frames=-1.0):
        self.reads = list(reads)
        self.opened = opened
        self.known = {cv2.CAP_PROP_FPS: fps, cv2.CAP_PROP_FRAME_COUNT: num_frames}

    def isOpened(self):  # noqa: N802 (OpenCV's name)
        return self.opened

    def get(self, name):
        return self.known[name]

    def read(self):
        read = self.reads.pop(0) if self.reads else (False, None)
        if isinstance(read, Exception):
            raise read
        return read

    def release(self):
        self.opened = False


def test_a_camera_is_opened_by_its_number_and_let_go():
    device, asked = FakeDevice([(True, FRAME)], fps=30.0), []
    connection = connect_camera(3, lambda index: asked.append(index) or device)
    assert asked == [3]
    assert connection.fps == 30.0
    assert connection.read() is FRAME
    assert not connection.finished
    connection.close()
    assert not device.isOpened()


def test_a_camera_that_is_not_there_is_named():
    with pytest.raises(SourceError, match="camera 9 cannot be opened"):
        connect_camera(9, lambda _index: FakeDevice(opened=False))


@pytest.mark.parametrize("read", [(False, None), (True, None), (True, FRAME[:0])])
def test_a_read_without_a_picture_is_none(read):
    assert connect_camera(0, lambda _index: FakeDevice([read])).read() is None


def test_an_error_of_opencv_is_the_end_of_the_connection():
    device = FakeDevice([cv2.error("cannot read rtsp://a:secret@cam")])
    with pytest.raises(SourceError, match=r"OpenCV failed: cannot read rtsp://\*\*\*@cam"):
        connect_camera(0, lambda _index: device).read()


@pytest.mark.parametrize("fps", [0.0, -1.0, float("nan"), 90000.0])
def test_a_frame_rate_that_cannot_be_is_unknown(fps):
    assert connect_camera(0, lambda _index: FakeDevice(fps=fps)).fps is None


def test_a_stream_with_an_announced_end_finishes_there():
    device = FakeDevice([(True, FRAME)] * 2, num_frames=2.0)
    connection = connect_camera(0, lambda _index: device)
    connection.read()
    assert not connection.finished
    connection.read()
    assert connection.finished


def test_ffmpeg_keeps_the_deadlines_of_an_address():
    asked = []
    settings = LiveSettings(open_timeout_s=5, read_timeout_s=1)
    connect_address("rtsp://cam", settings, lambda *given: asked.append(given) or FakeDevice())
    ((address, api, options),) = asked
    assert (address, api) == ("rtsp://cam", cv2.CAP_FFMPEG)
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given == {cv2.CAP_PROP_OPEN_TIMEOUT_MSEC: 4000, cv2.CAP_PROP_READ_TIMEOUT_MSEC: 800}


def test_nobody_reads_a_password_when_nothing_answers(capfd, caplog):
    address = "rtsp://admin:secret@127.0.0.1:9/live?token=secret"
    with pytest.raises(SourceError) as caught:
        open_source(address)
    said = "".join([str(caught.value), repr(caught.value), caplog.text, *capfd.readouterr()])
    assert "rtsp://***@127.0.0.1:9/live?token=*** cannot be opened" in said
    assert "secret" not in said
    assert "admin" not in said


def test_a_number_names_a_camera_also_as_text(monkeypatch):
    seen = []
    monkeypatch.setattr(capture, "_open_camera", lambda index, live: seen.append((index, live)))
    open_source(2)
    open_source("3", live=LiveSettings(attempts=1))
    assert seen == [(2, None), (3, LiveSettings(attempts=1))]


@pytest.mark.parametrize("source", [-1, 10**20, "99999999999999999999"])
def test_a_number_that_no_camera_has_is_refused(source):
    with pytest.raises(SourceError, match="numbered from 0"):
        open_source(source)


def test_an_address_of_another_kind_is_refused_with_those_there_are():
    with pytest.raises(SourceError, match=r"gopher://\*\*\*@cam cannot be opened; .* rtsp, "):
        open_source("gopher://a:b@cam")


def test_a_camera_is_read_through_its_own_thread(monkeypatch):
    opened = OpenCvConnection(FakeDevice([(True, FRAME)] * 3))
    monkeypatch.setattr(connections, "connect_address", lambda _address, _settings: opened)
    with open_source("http://cam:80/video") as source:
        assert source.name == "http://cam:80/video"
        assert source.is_live
        assert next(iter(source)).image.shape == (4, 6, 3)


class Stream:
    """What OpenCV returns for a source that can be opened, or cannot."""

    def __init__(self, opened):
        self.opened = opened

    def isOpened(self):  # noqa: N802
        return self.opened

    def get(self, _what):
        return 25.0


def test_a_pipeline_says_where_opencv_has_no_gstreamer(monkeypatch):
    monkeypatch.setattr(cv2.videoio_registry, "getBackends", lambda: [cv2.CAP_FFMPEG])
    with pytest.raises(SourceError, match="built without GStreamer"):
        open_source("videotestsrc ! videoconvert ! appsink")


def test_a_pipeline_is_handed_to_gstreamer(monkeypatch):
    monkeypatch.setattr(cv2.videoio_registry, "getBackends", lambda: [cv2.CAP_GSTREAMER])
    asked = []

    def open_stream(*given):
        asked.append(given)
        return Stream(opened=len(asked) == 1)

    assert connect_pipeline("videotestsrc ! appsink", open_stream).fps == 25
    assert asked == [("videotestsrc ! appsink", cv2.CAP_GSTREAMER)]
    with pytest.raises(SourceError, match="does not run"):
        connect_pipeline("videotestsrc ! appsink", open_stream)


def test_a_file_address_is_a_path(tmp_path):
    folder = tmp_path / "a folder"
    folder.mkdir()
    image = np.full((4, 6, 3), 7, np.uint8)
    cv2.imwrite(str(folder / "a.png"), image)
    for address in (f"file://{folder}/a.png", (folder / "a.png").as_uri()):
        (frame,) = open_source(address)
        np.testing.assert_array_equal(frame.image, image)
    with pytest.raises(SourceError, match="on another machine"):
        open_source("file://server/share/a.png")
    with pytest.raises(SourceError, match="There is no file"):
        open_source("file:///nowhere/a.png")


@pytest.mark.parametrize("by_link", [False, True])
def test_the_device_of_a_camera_is_that_camera(tmp_path, monkeypatch, by_link):
    opened = []

    def connect(index):
        opened.append(index)
        raise SourceError("It is not connected.")

    monkeypatch.setattr("edgepose_runtime.capture.connections.connect_camera", connect)
    device = "/dev/video977"
    if by_link:
        link = tmp_path / "usb-Camera-index0"
        link.symlink_to(device)
        device = str(link)
    with pytest.raises(SourceError, match="not connected"):
        open_source(device)
    assert opened == [977]
