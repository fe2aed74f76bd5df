"""The samples for live sources, with pretended networks and a pretended camera."""

from __future__ import annotations

import csv
import importlib.util
import re

import pytest

import edgepose
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.capture import EventKind, StreamEvent
from edgepose_runtime.capture.synthetic import SyntheticSource


@pytest.fixture
def sample(project_root, monkeypatch):
    """Load a sample whose model sees somebody who stands still."""
    tracker = edgepose.PoseTracker
    model = fake_model(FakeMethod(standing_person((160, 120), 120)))
    monkeypatch.setattr(edgepose, "PoseTracker", lambda _name, **more: tracker(model, **more))

    def load(name):
        spec = importlib.util.spec_from_file_location(name, project_root / "samples" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def camera():
    return SyntheticSource(5, size=(320, 240))


def test_a_network_camera_is_tracked_line_by_line(sample, camera, capsys):
    sample("rtsp").main(camera, None)
    lines = capsys.readouterr().out.splitlines()
    assert sum(bool(re.match(r"\d: x \d+\.\d, y ", line)) for line in lines) == 5
    assert lines[-1] == "A person in 5 of 5 frames; dropped: {}."
    assert any("ended" in line for line in lines)


def test_a_network_camera_is_tracked_into_a_table(sample, camera, tmp_path):
    path = tmp_path / "poses.csv"
    sample("rtsp").main(camera, str(path))
    with path.open(newline="") as file:
        assert [row["frame"] for row in csv.DictReader(file)] == list("01234")


def test_a_webcam_is_shown_until_it_ends(sample, camera, monkeypatch, capsys):
    module, shown = sample("webcam"), []
    monkeypatch.setattr(module, "open_source", lambda _index, **_more: camera)
    monkeypatch.setattr(module.cv2, "imshow", lambda _title, image: shown.append(image.shape))
    monkeypatch.setattr(module.cv2, "waitKey", lambda _ms: -1)
    module.main(0)
    module.show_event(StreamEvent(EventKind.LOST, 0.0, "camera 0 stopped delivering frames."))
    assert shown == [(240, 320, 3)] * 5
    said = capsys.readouterr().out
    assert "lost: camera 0 stopped delivering frames." in said
