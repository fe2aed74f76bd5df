import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepose.sinks import OverlaySink
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.errors import ClosedError, ConfigError, OutputError


def image(value=0, size=(64, 48)):
    return np.full((size[1], size[0], 3), value, np.uint8)


def grey_levels(path):
    """What the frames' lower right corners, where nothing is drawn, are like."""
    capture, found = cv2.VideoCapture(str(path)), []
    while (read := capture.read())[0]:
        found.append(round(float(read[1][-8:, -8:].mean()) / 10))
    return found


@pytest.fixture
def path(tmp_path):
    return tmp_path / "out.avi"


def test_results_and_frames_find_each_other_in_either_order(path, pose):
    with OverlaySink(path, fps=25) as out:
        out.add_frame(0, image(10))
        out(pose(0))
        out(pose(1))
        out.add_frame(1, image(20))
        out.add_frame(2, image(30))
        out.add_frame(3, image(40))
        out(pose(2))
        out(pose(3))
    assert grey_levels(path) == [1, 2, 3, 4]


def test_frames_without_a_result_are_left_out(path, pose):
    with OverlaySink(path, fps=25) as out:
        for frame_id in range(4):
            out.add_frame(frame_id, image(10 * frame_id))
        out(pose(1))
        out(pose(3))
    assert grey_levels(path) == [1, 3]
    assert out.num_forgotten == 0


def test_a_frame_may_be_changed_once_it_was_added(path, pose):
    frame = image(50)
    with OverlaySink(path, fps=25) as out:
        out.add_frame(0, frame)
        frame[:] = 200
        out(pose(0))
    assert grey_levels(path) == [5]


def test_first_frames_without_a_person_and_missing_joints_are_drawn(path, pose):
    result = pose(1)
    result.keypoints[:] = np.nan
    with OverlaySink(path, fps=25) as out:
        for one in (pose(0, keypoints=False), result):
            out.add_frame(one.frame_id, image(100))
            out(one)
    assert grey_levels(path) == [10, 10]


def test_memory_is_bounded_when_results_or_frames_stay_away(path, pose):
    with OverlaySink(path, fps=25, capacity=3) as out:
        for frame_id in range(10):
            out.add_frame(frame_id, image())
        for frame_id in range(100, 110):
            out(pose(frame_id))
        assert out.num_forgotten == 14
        assert len(out._frames) == len(out._results) == 3


def test_it_is_a_target_of_a_tracker(path):
    model = fake_model(FakeMethod(standing_person((40, 40), 40)))
    with OverlaySink(path, fps=25) as out, PoseTracker(model, on_result=out) as tracker:
        for value in (10, 20, 30):
            frame = image(value, size=(160, 120))
            out.add_frame(tracker.submit(frame), frame)
    assert grey_levels(path) == [1, 2, 3]


def test_a_full_disk_reaches_the_caller(path, pose, small_disk):
    small_disk(5000)
    out = OverlaySink(path, fps=25)
    with pytest.raises(OutputError, match=r"out\.avi': the disk is full"):
        for frame_id in range(100):
            out.add_frame(frame_id, image(frame_id))
            out(pose(frame_id))
    assert grey_levels(path)


def test_a_closed_sink_says_so(path, pose):
    out = OverlaySink(path, fps=25)
    out.close()
    out.close()
    out.add_frame(0, image())
    with pytest.raises(ClosedError):
        out(pose(0))


def test_a_capacity_of_none_is_refused(path):
    with pytest.raises(ConfigError, match="capacity must be 1 or more"):
        OverlaySink(path, fps=25, capacity=0)


KILLED = """
import os, signal, sys
import numpy as np
from edgepose.sinks import VideoSink
out = VideoSink(sys.argv[1], fps=25)
for index in range(5):
    out.write(np.full((48, 64, 3), 40 * index, np.uint8))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_every_frame_it_wrote(path: Path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert grey_levels(path) == [0, 4, 8, 12, 16]
