import json
from argparse import Namespace
from pathlib import Path
from types import SimpleNamespace

import cv2
import pytest

from edgepose.cli.main import main
from edgepose.cli.tracking.key_frames import live_key_frames
from edgepose.keyframes import KeyFrames
from edgepose.offline import contact_sheet as sheet_module
from edgepose_runtime.errors import ConfigError


@pytest.fixture
def track(puppet_bundle, capsys):
    """Run ``edgepose track --key-frames``; return the code and what it said."""

    def run(*words):
        model = ("--model", puppet_bundle.path, "--num-threads", "1")
        code = main(["track", *map(str, words), *map(str, model)])
        return code, capsys.readouterr().err

    return run


def test_a_file_is_tracked_by_its_key_frames(track, puppet_video, tmp_path):
    jsonl = tmp_path / "poses.jsonl"
    code, said = track(puppet_video, "--key-frames", "--max-key-rate", "0.25", "--jsonl", jsonl)
    assert code == 0
    _, *frames = (json.loads(line) for line in Path(jsonl).read_text().splitlines())
    assert [frame["frame"] for frame in frames] == list(range(12))
    origins = [frame["origin"] for frame in frames]
    assert origins[0] == "key_frame"
    assert 3 <= origins.count("key_frame") <= 4
    assert set(origins) <= {"key_frame", "interpolated", "predicted"}
    assert f"Processed {origins.count('key_frame')} of them" in said
    assert "saved about" in said


@pytest.mark.parametrize("rate", ["0", "1.5", "often"])
def test_a_rate_that_is_no_part_is_wrong_usage(track, puppet_video, rate, capsys):
    with pytest.raises(SystemExit) as exit_info:
        track(puppet_video, "--key-frames", "--max-key-rate", rate)
    assert exit_info.value.code == 2
    assert "part" in capsys.readouterr().err


def test_a_rate_without_key_frames_is_wrong_usage(track, puppet_video):
    code, said = track(puppet_video, "--max-key-rate", "0.2")
    assert code == 2
    assert "--key-frames" in said


def test_a_selector_without_key_frames_is_wrong_usage(track, puppet_video):
    code, said = track(puppet_video, "--selector", "none.onnx")
    assert code == 2
    assert "give --key-frames" in said


@pytest.mark.parametrize(
    "option",
    [
        ("--key-frame-motion", "both"),
        ("--key-frame-decision", "drift"),
        ("--key-frame-network", "head"),
    ],
)
class TestMotionAndDecision:
    def test_without_key_frames_they_are_wrong_usage(self, track, puppet_video, option):
        code, said = track(puppet_video, *option)
        assert code == 2
        assert "give --key-frames" in said

    def test_for_a_file_they_are_refused(self, track, puppet_video, option):
        code, said = track(puppet_video, "--key-frames", *option)
        assert code == 2
        assert f"{option[0]} cannot be combined" in said


def test_a_camera_takes_motion_and_decision():
    args = Namespace(
        key_frames=True,
        max_key_rate=0.2,
        selector=None,
        key_frame_motion="both",
        key_frame_decision=None,
        key_frame_network=None,
    )
    assert live_key_frames(args, SimpleNamespace(is_live=True)) == KeyFrames(0.2, motion="both")


def test_a_selector_for_a_camera_is_refused_for_what_it_is():
    args = Namespace(key_frames=True, max_key_rate=None, selector=Path("some.onnx"), source="0")
    with pytest.raises(ConfigError, match="'0' is live: leave it out"):
        live_key_frames(args, SimpleNamespace(is_live=True))


@pytest.fixture(params=["missing", "empty", "text", "another model"])
def wrong_selector(request, puppet_bundle, tmp_path):
    """A file that is no selector, and what is to be said of it."""
    path = tmp_path / "selector.onnx"
    if request.param == "another model":
        return next(Path(puppet_bundle.path).glob("*.onnx")), "is no selector of key frames"
    if request.param == "missing":
        return path, "There is no selector"
    path.write_text("" if request.param == "empty" else "These are no weights.")
    return path, "is no ONNX file that openvino can run"


def test_a_wrong_selector_leaves_former_results_alone(
    track, puppet_video, wrong_selector, tmp_path
):
    (path, reason), former = wrong_selector, (tmp_path / "poses.jsonl", tmp_path / "poses.mp4")
    for file in former:
        file.write_text("of another day")
    jsonl, video = former
    words = ("--key-frames", "--selector", path, "--jsonl", jsonl, "--video", video)
    code, said = track(puppet_video, *words)
    assert code == 1
    assert reason in said
    assert len(said.splitlines()) == 1
    assert [file.read_text() for file in former] == ["of another day"] * 2


def test_a_wrong_selector_proposes_nothing(puppet_video, wrong_selector, capsys):
    path, reason = wrong_selector
    table = puppet_video.with_name("walk.keyframes.csv")
    table.write_text("of another day")
    assert main(["propose-keyframes", str(puppet_video), "--selector", str(path)]) == 1
    assert reason in capsys.readouterr().err
    assert table.read_text() == "of another day"


def test_frames_are_proposed_as_a_list_and_a_sheet(puppet_video, capsys):
    assert main(["propose-keyframes", str(puppet_video), "--rate", "0.5"]) == 0
    table = puppet_video.with_name("walk.keyframes.csv")
    first, *lines = table.read_text().splitlines()
    assert first == "frame,timestamp_ms"
    assert len(lines) == 6
    sheet = cv2.imread(str(puppet_video.with_name("walk.keyframes.png")))
    assert sheet.shape[1] == 6 * 200
    assert "6 of 12 frames" in capsys.readouterr().out


def test_a_list_that_cannot_be_written_is_refused_before_the_work(puppet_video, tmp_path, capsys):
    code = main(["propose-keyframes", str(puppet_video), "--csv", str(tmp_path / "no" / "k.csv")])
    assert code == 1
    assert "no folder" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--remote-head=grpc://127.0.0.1:1", "--reinitialise-every=5"])
def test_options_that_key_frames_of_a_file_do_not_use_are_refused(track, puppet_video, option):
    code, said = track(puppet_video, "--key-frames", option)
    assert code == 2
    assert option.partition("=")[0] in said


@pytest.mark.parametrize("sheet", ["walk.avi", "walk.keyframes.csv"])
def test_a_sheet_replaces_neither_the_video_nor_the_list(puppet_video, sheet, capsys):
    before = puppet_video.read_bytes()
    sheet = puppet_video.with_name(sheet.replace("walk.avi", puppet_video.name))
    assert main(["propose-keyframes", str(puppet_video), "--contact-sheet", str(sheet)]) == 2
    assert "three files" in capsys.readouterr().err
    assert puppet_video.read_bytes() == before


def test_a_long_list_has_a_sheet_with_some_of_its_pictures(puppet_video, monkeypatch, capsys):
    monkeypatch.setattr(sheet_module, "MOST_TILES", 4)
    assert main(["propose-keyframes", str(puppet_video), "--rate", "1"]) == 0
    lines = puppet_video.with_name("walk.keyframes.csv").read_text().splitlines()
    assert len(lines) == 13
    assert "(with 3 of them)" in capsys.readouterr().out
