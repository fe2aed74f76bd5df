import cv2
import numpy as np
import pytest

from edgepose.sinks import VideoSink
from edgepose.sinks.video import can_encode, fit_into
from edgepose_runtime.errors import ClosedError, ConfigError, FrameError, OutputError


def frame(height=48, width=64, value=200):
    return np.full((height, width, 3), value, np.uint8)


def read(path):
    capture = cv2.VideoCapture(str(path))
    images = []
    while True:
        ok, image = capture.read()
        if not ok:
            return images
        images.append(image)


@pytest.mark.parametrize("name", ["out.mp4", "out.avi", "OUT.MP4"])
def test_a_written_video_can_be_read_back(tmp_path, name):
    path = tmp_path / name
    with VideoSink(path, fps=25) as out:
        for value in (50, 120, 200):
            out.write(frame(value=value))
    images = read(path)
    assert [image.shape for image in images] == [(48, 64, 3)] * 3
    assert [round(float(image.mean()) / 10) for image in images] == [5, 12, 20]


def test_frames_of_another_size_are_fitted_into_the_first_ones(tmp_path):
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=25) as out:
        for height, width in ((48, 64), (480, 640), (10, 64), (64, 48)):
            out.write(frame(height, width))
    assert [image.shape for image in read(path)] == [(48, 64, 3)] * 4


@pytest.mark.parametrize(("height", "width"), [(1, 1), (47, 63), (17, 6000)])
def test_sizes_that_encoders_refuse_are_written_all_the_same(tmp_path, height, width):
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=25) as out:
        out.write(frame(height, width))
    assert len(read(path)) == 1


def test_odd_frames_are_padded_and_not_resampled():
    image = np.random.default_rng(0).integers(0, 256, (47, 63, 3)).astype(np.uint8)
    canvas = fit_into(image, (64, 48))
    np.testing.assert_array_equal(canvas[:47, :63], image)
    assert not canvas[47:].any()
    assert not canvas[:, 63:].any()


def test_a_video_without_frames_leaves_no_file(tmp_path):
    path = tmp_path / "out.mp4"
    VideoSink(path, fps=25).close()
    assert not path.exists()


@pytest.mark.parametrize("name", ["out.mkv", "out", "out.jpg"])
def test_another_ending_is_refused_by_name(tmp_path, name):
    with pytest.raises(ConfigError, match=r"\.mp4 or \.webm or \.avi"):
        VideoSink(tmp_path / name, fps=25)


def test_an_unwritable_path_is_refused_at_once(tmp_path):
    with pytest.raises(OutputError, match="there is no folder"):
        VideoSink(tmp_path / "missing" / "out.mp4", fps=25)


def test_a_name_that_would_crash_opencv_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="not UTF-8"):
        VideoSink(tmp_path / "out\udcff.mp4", fps=25)


@pytest.mark.parametrize("fps", [0, -1, float("nan"), 1e6])
def test_an_impossible_rate_is_refused(tmp_path, fps):
    with pytest.raises(ConfigError, match="fps"):
        VideoSink(tmp_path / "out.mp4", fps=fps)


def test_an_opencv_that_cannot_encode_is_noticed_before_the_first_frame(tmp_path, monkeypatch):
    monkeypatch.setattr("edgepose.sinks.video.cv2.VideoWriter", BrokenWriter)
    with pytest.raises(OutputError, match="cannot encode"):
        VideoSink(tmp_path / "out.mp4", fps=25)


class BrokenWriter:
    fourcc = staticmethod(cv2.VideoWriter.fourcc)

    def __init__(self, *_):
        pass

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return False


def test_writing_to_a_closed_sink_is_an_error_and_closing_twice_is_not(tmp_path):
    out = VideoSink(tmp_path / "out.mp4", fps=25)
    out.close()
    out.close()
    with pytest.raises(ClosedError):
        out.write(frame())


def test_an_empty_first_frame_is_refused_and_the_next_one_written(tmp_path):
    path = tmp_path / "out.avi"
    with VideoSink(path, fps=25) as out:
        with pytest.raises(FrameError):
            out.write(frame()[:0])
        out.write(frame())
    assert len(read(path)) == 1


@pytest.mark.parametrize(("name", "codec"), [("out.webm", "VP80"), ("out.avi", "MJPG")])
def test_the_codec_is_the_one_of_the_ending(tmp_path, name, codec):
    with VideoSink(tmp_path / name, fps=25) as out:
        for _ in range(3):
            out.write(frame())
        assert out.codec == codec
    assert len(read(tmp_path / name)) == 3


@pytest.mark.parametrize(("has_h264", "codec"), [(True, "avc1"), (False, "mp4v")])
def test_an_mp4_is_h264_where_opencv_can(tmp_path, monkeypatch, has_h264, codec):
    monkeypatch.setattr("edgepose.sinks.video.can_encode", lambda *_: has_h264)
    assert VideoSink(tmp_path / "out.mp4", fps=25).codec == codec


def test_looking_for_an_encoder_is_silent(capfd):
    can_encode.__wrapped__("avc1", ".mp4")
    assert capfd.readouterr() == ("", "")
    assert can_encode.__wrapped__("mp4v", ".mp4")
    assert not can_encode.__wrapped__("none", ".mp4")
