"""A sink as ``on_result`` of a tracker, on a disk that becomes full."""

import json

import numpy as np
import pytest

from edgepose.sinks import CsvSink, JsonlSink
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose.tracker import PoseTracker
from edgepose_runtime.errors import OutputError
from edgepose_runtime.poses.skeletons import PENN13

FRAME = np.zeros((240, 320, 3), np.uint8)
FRAMES = 12
SECONDS = 20.0


@pytest.fixture
def model():
    return fake_model(FakeMethod(standing_person((160, 120), height=120)))


@pytest.fixture(params=["jsonl", "csv"])
def sink(request, tmp_path, small_disk):
    small_disk(2000)  # room for the header and a few poses
    path = tmp_path / f"poses.{request.param}"
    if request.param == "csv":
        return CsvSink(path, skeleton=PENN13)
    return JsonlSink(path, skeleton=PENN13, model="fake", source="black")


def test_the_error_reaches_on_error_and_tracking_goes_on(model, sink):
    failures = []
    with PoseTracker(model, on_result=sink, on_error=failures.append) as tracker:
        for step in range(FRAMES):
            tracker.submit(FRAME, 40.0 * step)
        assert tracker.flush(SECONDS)
        stats = tracker.stats
    assert stats.poses == FRAMES
    assert 0 < len(failures) < FRAMES
    assert stats.callback_errors == len(failures)
    assert {failure.callback for failure in failures} == {"on_result"}
    assert isinstance(failures[0].error, OutputError)
    assert failures[0].frame_id is not None


def test_without_on_error_close_raises_it(model, sink):
    tracker = PoseTracker(model, on_result=sink)
    for step in range(FRAMES):
        tracker.submit(FRAME, 40.0 * step)
    with pytest.raises(OutputError, match="disk is full"):
        tracker.close()
    tracker.close()  # it was told


def test_the_poses_before_it_stay_readable(model, small_disk, tmp_path):
    small_disk(2000)
    path = tmp_path / "poses.jsonl"
    sink = JsonlSink(path, skeleton=PENN13, model="fake", source="black")
    failures = []
    with PoseTracker(model, on_result=sink, on_error=failures.append) as tracker:
        for step in range(FRAMES):
            tracker.submit(FRAME, 40.0 * step)
    whole = path.read_text(encoding="utf-8").split("\n")[1:-1]
    assert [json.loads(line)["frame"] for line in whole] == list(range(failures[0].frame_id))
