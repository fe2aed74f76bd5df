"""The samples for live sources, with pretended networks and a pretended camera."""

from __future__ import annotations

import builtins
import csv
import importlib.util
import re
import threading

import pytest

import edgepose
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.capture.synthetic import SyntheticSource


@pytest.fixture
def sample(project_root, monkeypatch):
    """Load a sample whose model sees somebody who stands still."""
    tracker, pool = edgepose.PoseTracker, edgepose.TrackerPool
    model = fake_model(FakeMethod(standing_person((160, 120), 120)))
    monkeypatch.setattr(edgepose, "PoseTracker", lambda _name="", **more: tracker(model, **more))

    def make_pool(_name, num_threads, **more):
        assert num_threads == 1
        return pool(model, **more)

    monkeypatch.setattr(edgepose, "TrackerPool", make_pool)

    def load(name):
        spec = importlib.util.spec_from_file_location(name, project_root / "samples" / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def camera():
    return SyntheticSource(5, size=(320, 240))


def test_a_preview_shows_several_sources(sample, camera, monkeypatch, capsys):
    preview = edgepose.Preview
    settings = edgepose.PreviewSettings(port=0)
    monkeypatch.setattr(edgepose, "Preview", lambda: preview(settings))
    monkeypatch.setattr(edgepose, "open_source", lambda source, **_: source)
    sample("preview").main([camera, SyntheticSource(5, size=(320, 240))])
    assert "Open http://127.0.0.1:" in capsys.readouterr().out


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
    monkeypatch.setattr(module.cv2, "imshow", lambda _title, image: shown.append(image.shape))
    monkeypatch.setattr(module.cv2, "waitKey", lambda _ms: -1)
    module.main(camera)
    assert shown == [(240, 320, 3)] * 5
    assert "ended: " in capsys.readouterr().out


def test_a_webcam_is_no_longer_shown_after_q(sample, camera, monkeypatch):
    module, shown = sample("webcam"), []
    monkeypatch.setattr(module.cv2, "imshow", lambda _title, image: shown.append(image))
    monkeypatch.setattr(module.cv2, "waitKey", lambda _ms: ord("q"))
    module.main(camera)
    assert len(shown) == 1


def test_four_cameras_are_tracked_in_one_process(sample, monkeypatch, capsys):
    module, patience = sample("four_cameras"), []

    def open_source(address, live):
        patience.append((address, live.retry_first))
        return SyntheticSource(5, size=(320, 240))

    monkeypatch.setattr(edgepose, "open_source", open_source)
    module.main(["rtsp://a", "rtsp://b", "rtsp://c", "rtsp://d"])
    assert patience == [(f"rtsp://{name}", True) for name in "abcd"]
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if "poses" in line] == [
        f"camera {number}: 5 poses, dropped: {{}}" for number in range(1, 5)
    ]


class Webcam:
    """What OpenCV opens: a few frames, and then no more."""

    def __init__(self, camera, released):
        self.frames = iter(camera)
        self.released = released

    def read(self):
        frame = next(self.frames, None)
        return frame is not None, None if frame is None else frame.image

    def release(self):
        self.released.set()


def test_callbacks_are_called_until_enter_is_pressed(sample, camera, monkeypatch, capsys):
    module, released = sample("callbacks"), threading.Event()
    monkeypatch.setattr(module.cv2, "VideoCapture", lambda _index: Webcam(camera, released))
    monkeypatch.setattr(builtins, "input", lambda: released.wait(20.0))
    module.main(0)
    said = capsys.readouterr()
    assert re.search(r"^\d poses in 5 frames, dropped: ", said.out, re.MULTILINE)
    assert "Camera 0 delivers no frames." in said.err


def test_repetitions_before_a_webcam_are_counted_until_q(sample, camera, monkeypatch, capsys):
    module, shown, pressed = sample("rep_counter"), [], iter([-1, -1, ord("q")])
    angles = iter([170, 90, 165, 170, 170])
    monkeypatch.setattr(module.RepCounter, "angle", lambda *_: next(angles))
    monkeypatch.setattr(module.cv2, "imshow", lambda _title, image: shown.append(image.shape))
    monkeypatch.setattr(module.cv2, "waitKey", lambda _ms: next(pressed))
    module.main(camera, "squat", show=True)
    assert len(shown) == 3
    assert capsys.readouterr().out.endswith("repetition 1\n1 in all\n")


@pytest.mark.parametrize(
    ("angles", "count"),
    [([170, 90, 165], 1), ([170, 90, 130, 95, 165, 170], 1), ([170, 120, 165], 0), ([90, None], 0)],
)
def test_a_repetition_is_bent_and_then_stretched(sample, monkeypatch, angles, count):
    counter, results = sample("rep_counter").RepCounter("squat"), iter(angles)
    monkeypatch.setattr(counter, "angle", lambda _: next(results))
    completed = [counter.update(None) for _ in angles]
    assert (sum(completed), counter.count) == (count, count)
