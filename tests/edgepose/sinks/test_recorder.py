import threading

import cv2
import numpy as np
import pytest

from edgepose import TrackerPool
from edgepose.results import Origin, PoseResult
from edgepose.sinks import Recorder
from edgepose.sinks.timeline import TimedVideo
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.errors import ClosedError, ConfigError, OutputError
from edgepose_runtime.poses.skeletons import PENN13

GREYS = (20, 90, 160, 230)


def grey(value):
    return np.full((48, 64, 3), value, np.uint8)


def greys(path):
    """The brightness of each picture, as one of GREYS."""
    capture, found = cv2.VideoCapture(str(path)), []
    while True:
        ok, image = capture.read()
        if not ok:
            return found
        found.append(min(GREYS, key=lambda value: abs(value - float(image.mean()))))


def written(tmp_path, *frames, fps=10.0, max_gap_s=10.0):
    with TimedVideo(tmp_path / "door", ".avi", fps=fps, max_gap_s=max_gap_s) as video:
        for timestamp_ms, value in frames:
            video.write(grey(value), timestamp_ms)
        return video


def test_a_picture_is_repeated_where_frames_are_missing(tmp_path):
    written(tmp_path, (5000, 20), (5100, 90), (5500, 160), (5600, 230))
    assert greys(tmp_path / "door.avi") == [20, 90, 90, 90, 90, 160, 230]


def test_frames_between_two_pictures_are_skipped_and_counted(tmp_path):
    video = written(tmp_path, (0, 20), (30, 90), (100, 160), (140, 230))
    assert greys(tmp_path / "door.avi") == [20, 160]
    assert (video.num_written, video.num_skipped) == (2, 2)


@pytest.mark.parametrize("later", [8000, -400], ids=["a long gap", "time starts anew"])
def test_a_further_file_begins_where_time_jumps(tmp_path, later):
    written(tmp_path, (0, 20), (100, 90), (later, 160), (later + 100, 230), max_gap_s=5)
    assert greys(tmp_path / "door.avi") == [20, 90]
    assert greys(tmp_path / "door-2.avi") == [160, 230]


def result(timestamp_ms):
    return PoseResult(
        frame_id=int(timestamp_ms),
        timestamp_ms=timestamp_ms,
        skeleton=PENN13,
        keypoints=standing_person((32, 24), 40),
        roi=(0, 0, 48, 48),
        origin=Origin.PROPAGATED,
        reason=None,
        key_frame_age=1,
        latency={},
    )


def test_a_pool_records_each_source_with_its_poses(tmp_path, sample_clip):
    model = fake_model(FakeMethod(standing_person((270, 480), 500)))
    with (
        Recorder(tmp_path, fps=30, ending=".avi", max_waiting=200) as recorder,
        TrackerPool(model, on_frame=recorder) as pool,
    ):
        pool.add(str(sample_clip), "front door/1")
        pool.add(str(sample_clip), "front door:1")
        assert pool.wait(60)
    first, second = recorder.stats.values()
    assert first == second and first.dropped == 0 and first.error is None
    assert first.written + first.skipped == 100
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "front_door_1.avi",
        "front_door_1_2.avi",
    ]
    # 100 frames at 60 per second are 50 at 30.
    assert abs(len(greys(tmp_path / "front_door_1.avi")) - 50) <= 1


class Held:
    """A video whose encoder waits for permission."""

    def __init__(self, monkeypatch):
        self.go = threading.Event()
        self.entered = threading.Event()
        original = TimedVideo.write

        def write(video, frame, timestamp_ms):
            self.entered.set()
            assert self.go.wait(20)
            original(video, frame, timestamp_ms)

        monkeypatch.setattr(TimedVideo, "write", write)


def test_a_slow_encoder_holds_nobody_up_and_the_oldest_frames_are_dropped(tmp_path, monkeypatch):
    held = Held(monkeypatch)
    with Recorder(tmp_path, fps=10, ending=".avi", style=None, max_waiting=2) as recorder:
        recorder("door", grey(20), result(0))
        assert held.entered.wait(20)
        for number in range(1, 6):
            recorder("door", grey(90 if number < 5 else 230), result(100.0 * number))
        assert recorder.stats["door"].dropped == 3
        held.go.set()
    assert recorder.stats["door"].written == 3
    assert greys(tmp_path / "door.avi") == [20, 20, 20, 20, 90, 230]  # and at the right speed


def test_an_error_ends_that_recording_alone_and_is_raised_in_the_end(tmp_path, monkeypatch):
    original = TimedVideo.write

    def write(video, frame, timestamp_ms):
        if video.path.name == "broken":
            raise OutputError("The disk is full.")
        original(video, frame, timestamp_ms)

    monkeypatch.setattr(TimedVideo, "write", write)
    recorder = Recorder(tmp_path, fps=10, ending=".avi")
    for name in ("broken", "whole"):
        recorder(name, grey(20), result(0))
    with pytest.raises(OutputError, match="disk is full"):
        recorder.close()
    assert recorder.stats["broken"].dropped == 1
    assert len(greys(tmp_path / "whole.avi")) == 1


def test_poses_are_drawn_unless_there_is_no_style(tmp_path):
    for name, style in (("plain", {"style": None}), ("drawn", {})):
        with Recorder(tmp_path, fps=10, ending=".avi", **style) as recorder:
            recorder(name, grey(20), result(0))
    pictures = [cv2.VideoCapture(str(tmp_path / f"{n}.avi")).read()[1] for n in ("plain", "drawn")]
    assert pictures[1].std() > pictures[0].std() + 5


def test_a_closed_recorder_takes_nothing(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.close()
    recorder.close()
    with pytest.raises(ClosedError):
        recorder("door", grey(20), result(0))


@pytest.mark.parametrize(
    "option",
    [
        {"fps": 0},
        {"fps": "25"},
        {"ending": ".mkv"},
        {"ending": 3},
        {"max_waiting": 0},
        {"max_gap_s": -1},
    ],
    ids=str,
)
def test_wrong_options_are_refused_at_once(tmp_path, option):
    with pytest.raises(ConfigError):
        Recorder(tmp_path, **option)
    assert not list(tmp_path.iterdir())
