import json
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepose.cli.commands.track import _head_summary, show_event
from edgepose.cli.main import main
from edgepose.cli.tracking import window
from edgepose.preview import Preview
from edgepose.stats import HeadStats
from edgepose_runtime.capture import EventKind, LiveSettings, StreamEvent
from edgepose_runtime.capture.live import LiveSource
from edgepose_runtime.errors import SourceError


@pytest.fixture
def track(puppet_bundle, capsys):
    """Run ``edgepose track`` with the puppet's networks; return the code and what it said."""

    def run(*words):
        model = ("--model", puppet_bundle.path, "--num-threads", "1", "--debug")
        code = main(["track", *map(str, words), *map(str, model)])
        return code, capsys.readouterr().err

    return run


def records(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()]


def count_frames(path):
    capture = cv2.VideoCapture(str(path))
    count = 0
    while capture.read()[0]:
        count += 1
    return count


def test_a_video_gives_results_and_an_overlay(track, puppet_video, tmp_path):
    jsonl, video = tmp_path / "poses.jsonl", tmp_path / "overlay.mp4"
    code, said = track(puppet_video, "--jsonl", jsonl, "--video", video)
    assert code == 0
    header, *frames = records(jsonl)
    assert header["format"] == "edgepose.poses"
    assert header["model"] == "puppet"
    assert header["source"] == str(puppet_video)
    assert header["engine"]["device"] == "cpu"
    assert [frame["frame"] for frame in frames] == list(range(12))
    assert [frame["origin"] for frame in frames] == ["initialised"] + ["propagated"] * 11
    assert frames[1]["timestamp_ms"] == pytest.approx(40.0, abs=0.1)
    assert np.shape(frames[-1]["keypoints"]) == (13, 3)
    assert count_frames(video) == 12
    assert "A person in 12 of 12 frames (1 initialised, 11 propagated)." in said
    assert f"puppet ran on cpu in {header['engine']['precision']}." in said
    assert "track: 12/12 (100 %)" in said


def test_caption_and_region_are_drawn_only_if_asked_for(track, puppet_video, tmp_path):
    pictures = {}
    for name, words in {"default": (), "off": ("--no-caption",), "on": ("--caption",)}.items():
        track(puppet_video, "--video", tmp_path / f"{name}.avi", *words)
        pictures[name] = cv2.VideoCapture(str(tmp_path / f"{name}.avi")).read()[1]
    np.testing.assert_array_equal(pictures["default"], pictures["off"])
    assert (pictures["on"] != pictures["off"]).any()


def test_the_latency_table_names_the_stages(track, puppet_video):
    _, said = track(puppet_video)
    table = said[said.index("ms per frame") :].splitlines()
    assert table[0].split()[-4:] == ["frames", "p50", "p95", "p99"]
    stages = [line.split()[0] for line in table[1:-2]]
    assert stages == ["search", "crop", "head", "decode", "follow", "network", "total"]


def test_a_folder_of_images_is_tracked_in_its_order(track, puppet, tmp_path):
    folder, jsonl = tmp_path / "images", tmp_path / "poses.jsonl"
    folder.mkdir()
    for number in (1, 2, 10):
        cv2.imwrite(str(folder / f"{number}.png"), puppet((100 + 5 * number, 120)))
    assert track(folder, "--jsonl", jsonl)[0] == 0
    heads = [frame["keypoints"][0][0] for frame in records(jsonl)[1:]]
    assert heads == sorted(heads)
    assert len(heads) == 3


def test_a_folder_of_images_has_the_rate_that_is_given(track, puppet, tmp_path):
    folder, jsonl = tmp_path / "images", tmp_path / "poses.jsonl"
    folder.mkdir()
    for number in range(3):
        cv2.imwrite(str(folder / f"{number}.png"), puppet())
    assert track(folder, "--jsonl", jsonl, "--fps", 4)[0] == 0
    assert [frame["timestamp_ms"] for frame in records(jsonl)[1:]] == [0, 250, 500]
    assert track(folder, "--fps", 0)[0] == 2


def test_a_video_has_a_rate_of_its_own(track, puppet_video):
    code, said = track(puppet_video, "--fps", 4)
    assert code == 2
    assert "--fps is for folders of images" in said


def test_images_of_changing_size_are_tracked(track, puppet, tmp_path):
    folder, jsonl, video = tmp_path / "images", tmp_path / "poses.jsonl", tmp_path / "out.mp4"
    folder.mkdir()
    for number, size in enumerate([(320, 240), (640, 480), (240, 320)]):
        image = puppet((size[0] / 2, size[1] / 2), height=0.6 * size[1], size=size)
        cv2.imwrite(str(folder / f"{number}.png"), image)
    assert track(folder, "--jsonl", jsonl, "--video", video)[0] == 0
    assert all(frame["keypoints"] for frame in records(jsonl)[1:])
    assert count_frames(video) == 3


def test_a_video_of_one_frame_is_tracked(track, puppet, save_video, tmp_path):
    code, said = track(save_video(tmp_path / "one.avi", [puppet()]))
    assert code == 0
    assert "A person in 1 of 1 frames" in said


def test_an_empty_room_has_no_pose_and_a_reason(track, save_video, tmp_path):
    jsonl = tmp_path / "poses.jsonl"
    room = [np.full((240, 320, 3), 116, np.uint8)] * 3
    code, said = track(save_video(tmp_path / "room.avi", room), "--jsonl", jsonl)
    assert code == 0
    assert "A person in 0 of 3 frames." in said
    for frame in records(jsonl)[1:]:
        assert frame["keypoints"] is None
        assert frame["reason"] == "no person found"


def test_a_given_roi_is_used_for_every_frame(track, puppet_video, tmp_path):
    jsonl = tmp_path / "poses.jsonl"
    assert track(puppet_video, "--jsonl", jsonl, "--roi", "40,20,220,220")[0] == 0
    assert {tuple(frame["roi"]) for frame in records(jsonl)[1:]} == {(40, 20, 220, 220)}


def test_the_head_runs_as_often_as_asked(track, puppet_video, tmp_path):
    jsonl = tmp_path / "poses.jsonl"
    track(puppet_video, "--jsonl", jsonl, "--reinitialise-every", 4, "--no-smoothing")
    ages = [frame["key_frame_age"] for frame in records(jsonl)[1:]]
    assert ages == [0, 1, 2, 3] * 3


#: Tracks, and gets signals at the fifth frame: in a process of its own, which they may end.
INTERRUPTED = """
import faulthandler, signal, sys
faulthandler.dump_traceback_later(80, exit=True)  # where it hangs, should it
from edgepose.cli.main import main
from edgepose.cli.tracking.outputs import Outputs

numbers = [getattr(signal, name) for name in sys.argv[1].split(",")]
for number in numbers:  # ignored in whatever runs in the background of a script
    signal.signal(number, signal.SIG_DFL)
write = Outputs.write

def write_and_interrupt(self, frame, result):
    if result.frame_id == 4:
        for number in numbers:
            signal.raise_signal(number)
    return write(self, frame, result)

Outputs.write = write_and_interrupt
sys.exit(main(sys.argv[2:]))
"""


@pytest.fixture
def interrupted(puppet_bundle, puppet_video, tmp_path):
    """Track with signals at the fifth frame; return code, what was said, records and frames."""

    def run(signals):
        jsonl, video = tmp_path / "poses.jsonl", tmp_path / "overlay.mp4"
        words = ["track", puppet_video, "--jsonl", jsonl, "--video", video, "--num-threads", "1"]
        words += ["--model", puppet_bundle.path, "--debug"]
        done = subprocess.run(
            [sys.executable, "-c", INTERRUPTED, signals, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=100,
        )
        assert jsonl.exists(), done.stderr
        return done.returncode, done.stderr, len(records(jsonl)), count_frames(video)

    return run


@pytest.mark.parametrize(
    ("name", "exit_code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)]
)
def test_a_signal_leaves_whole_readable_files(interrupted, name, exit_code):
    if not hasattr(signal, name):
        pytest.skip(f"this system has no {name}")
    code, said, num_records, num_frames = interrupted(name)
    assert code == exit_code, said
    assert "the results up to there are complete" in said
    assert "A person in 5 of 5 frames" in said
    assert (num_records, num_frames) == (1 + 5, 5)


def test_a_second_ctrl_c_stops_at_once_and_files_stay_readable(interrupted):
    code, said, num_records, num_frames = interrupted("SIGINT,SIGINT")
    assert code == 130, said
    assert (num_records, num_frames) == (1 + 4, 4)


class LostCamera:
    """Delivers some frames, then fails, and cannot be opened again."""

    finished, fps = False, None

    def __init__(self, frames):
        self.left = list(frames)
        self.opened = False

    def connect(self):
        if self.opened:
            raise SourceError("The camera is not connected.")
        self.opened = True
        return self

    def read(self):
        if not self.left:
            raise SourceError("The camera was pulled out.")
        return self.left.pop(0)

    def close(self):
        pass


def test_a_signal_ends_the_wait_for_a_camera_that_was_lost(track, monkeypatch):
    """Without it, the reader gives up only after all of its attempts."""
    camera = LostCamera([np.zeros((240, 320, 3), np.uint8)] * 3)
    settings = LiveSettings(first_delay_s=5, longest_delay_s=5, attempts=1)

    def open_camera(_source, _fps):
        source = LiveSource("a camera", camera.connect, settings=settings)
        source.subscribe(
            lambda event: event.kind is EventKind.LOST and signal.raise_signal(signal.SIGTERM)
        )
        return source

    monkeypatch.setattr("edgepose.cli.commands.track._open", open_camera)
    code, said = track("0")
    assert code == 0
    assert "the results up to there are complete" in said


def test_a_cut_off_video_gives_what_is_there_and_then_an_error(track, puppet_video, tmp_path):
    short, jsonl = tmp_path / "short.avi", tmp_path / "poses.jsonl"
    content = puppet_video.read_bytes()
    short.write_bytes(content[: len(content) * 2 // 3])
    code, said = track(short, "--jsonl", jsonl)
    assert code == 1
    assert "cut off" in said
    assert len(records(jsonl)) > 4


def bad_source(tmp_path, kind):
    path = tmp_path / f"{kind}.mp4"
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("not a video\n" * 100)
    elif kind == "folder":
        path.mkdir()
    return path


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder"])
def test_a_source_that_is_none_is_one_sentence_and_touches_no_output(track, tmp_path, kind):
    jsonl = tmp_path / "poses.jsonl"
    jsonl.write_text("earlier results\n")
    code, said = track(bad_source(tmp_path, kind), "--jsonl", jsonl)
    assert code == 1
    assert f"{kind}.mp4" in said
    assert jsonl.read_text() == "earlier results\n"


@pytest.mark.parametrize("option", ["--jsonl", "--video"])
def test_an_unwritable_output_is_refused_before_any_work(track, puppet_video, tmp_path, option):
    other = {"--jsonl": "--video", "--video": "--jsonl"}[option]
    names = {"--jsonl": "out.jsonl", "--video": "out.mp4"}
    good, bad = tmp_path / names[other], tmp_path / "missing" / names[option]
    code, said = track(puppet_video, other, good, option, bad)
    assert code == 1
    assert "Cannot write to" in said
    assert not good.exists()
    assert "ms per frame" not in said


def test_the_source_is_never_overwritten(track, puppet_video):
    before = puppet_video.read_bytes()
    code, said = track(puppet_video, "--video", puppet_video)
    assert code == 2
    assert "is the source" in said
    assert puppet_video.read_bytes() == before


def test_two_outputs_in_one_file_are_refused(track, puppet_video, tmp_path):
    path = tmp_path / "out.mp4"
    code, said = track(puppet_video, "--video", path, "--jsonl", path)
    assert code == 2
    assert "give another file" in said


def test_a_video_of_an_unknown_kind_is_wrong_usage(track, puppet_video, tmp_path):
    code, said = track(puppet_video, "--video", tmp_path / "out.gif")
    assert code == 2
    assert ".mp4 or .webm or .avi" in said


@pytest.mark.parametrize("roi", ["1,2,3", "a,b,c,d", ""])
def test_a_roi_that_is_none_is_wrong_usage(track, puppet_video, roi):
    with pytest.raises(SystemExit) as end:
        track(puppet_video, "--roi", roi)
    assert end.value.code == 2


@pytest.mark.parametrize("command", ["track", "evaluate"])
@pytest.mark.parametrize("count", ["0", "2.5", "many"])
def test_threads_that_are_no_number_are_named_as_on_the_command_line(capsys, command, count):
    with pytest.raises(SystemExit) as end:
        main([command, "somewhere", "--num-threads", count])
    assert end.value.code == 2
    assert "argument --num-threads: must be a whole number from 1 up" in capsys.readouterr().err


@pytest.mark.parametrize("roi", ["1000,1000,50,50", "nan,0,10,10", "0,0,0,0"])
def test_a_roi_that_misses_the_frame_is_one_sentence(track, puppet_video, roi):
    code, said = track(puppet_video, "--roi", roi)
    assert code == 1
    assert "The roi (x, y, width, height)" in said
    assert "ms per frame" not in said


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (("--backend", "abacus"), 2),
        (("--device", "abacus"), 1),
        (("--precision", "int2"), 2),
        (("--reinitialise-every", "-1"), 2),
    ],
)
def test_an_engine_that_is_not_there_is_one_sentence(track, puppet_video, options, code):
    found, said = track(puppet_video, *options)
    assert found == code
    assert options[1] in said


def test_an_unknown_model_is_one_sentence_that_names_the_shipped_ones(capsys, puppet_video):
    assert main(["track", str(puppet_video), "--model", "hercules"]) == 1
    said = capsys.readouterr().err
    assert "There is no model 'hercules'" in said
    assert said.count("\n") == 1


class TestShow:
    def test_without_a_screen_it_is_refused_before_any_work(self, track, puppet_video, monkeypatch):
        monkeypatch.setattr(window, "has_windows", lambda: True)
        monkeypatch.setattr(window, "has_screen", lambda: False)
        code, said = track(puppet_video, "--show")
        assert code == 1
        assert "--show needs a screen" in said
        assert "ms per frame" not in said

    def test_an_opencv_without_windows_is_named(self, track, puppet_video, monkeypatch):
        monkeypatch.setattr(window, "has_windows", lambda: False)
        code, said = track(puppet_video, "--show")
        assert code == 1
        assert "pip install opencv-python" in said

    def test_q_ends_the_work_normally(self, track, puppet_video, tmp_path, monkeypatch):
        shown = []

        class FakeWindow:
            def __init__(self, title):
                shown.append(title)

            def show(self, image):
                shown.append(image.shape)
                return len(shown) < 4

            def close(self):
                shown.append("closed")

        monkeypatch.setattr(window, "Window", FakeWindow)
        jsonl = tmp_path / "poses.jsonl"
        assert track(puppet_video, "--show", "--jsonl", jsonl)[0] == 0
        assert shown[1:] == [(240, 320, 3)] * 3 + ["closed"]
        assert len(records(jsonl)) == 1 + 3


def test_an_address_where_nobody_answers_is_one_sentence_without_the_password(capsys):
    assert main(["track", "rtsp://admin:secret@127.0.0.1:9/live"]) == 1
    said = capsys.readouterr().err
    assert "rtsp://***@127.0.0.1:9/live cannot be opened" in said
    assert "secret" not in said
    assert "Traceback" not in said


def test_a_lost_camera_is_said(capsys):
    for kind in EventKind:
        show_event(StreamEvent(kind, 0.0, "camera 0 stopped delivering frames."))
    lost, reconnected, head_lost, head_reconnected, *people = capsys.readouterr().err.splitlines()
    assert [line.split(":")[1] for line in people] == [
        *(" Person entered", " Person lost", " Person found", " Person left")
    ]
    assert lost == "edgepose: Lost: camera 0 stopped delivering frames."
    assert reconnected.startswith("edgepose: Reconnected:")
    assert head_lost.startswith("edgepose: Head lost:")
    assert head_reconnected.startswith("edgepose: Head reconnected:")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows closes streams in another way")
@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_closed_streams_change_nothing(puppet_bundle, puppet_video, tmp_path, closed):
    jsonl = tmp_path / "poses.jsonl"
    words = [sys.executable, "-m", "edgepose", "track", puppet_video, "--jsonl", jsonl]
    words += ["--model", puppet_bundle.path, "--num-threads", "1"]
    done = subprocess.run(f"{shlex.join(map(str, words))} {closed}", shell=True, check=False)
    assert done.returncode == 0
    assert len(records(jsonl)) == 1 + 12


def test_everybody_is_tracked_with_version_2_of_json_lines(sample_clip, tmp_path, capsys):
    path, video = tmp_path / "poses.jsonl", tmp_path / "overlay.mp4"
    words = ["track", str(sample_clip), "--max-people", "all", "--num-threads", "1"]
    assert main([*words, "--jsonl", str(path), "--video", str(video)]) == 0
    header, *frames = records(path)
    assert (header["version"], len(frames), count_frames(video)) == (2, 100, 100)
    assert all(frame["people"][0]["person"] == 1 for frame in frames)
    assert "Person entered: Person 1 entered." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--max-people", "0"], "max_people must be"),
        (["--max-people", "some"], "expected a whole number or all"),
        (["--max-people", "2", "--roi", "0,0,9,9"], "--roi says where one person is"),
        (["--max-people", "2", "--key-frames", "--selector", "x.onnx"], "--selector chooses"),
    ],
)
def test_what_several_people_exclude_is_wrong_usage(sample_clip, capsys, words, sentence):
    try:
        code = main(["track", str(sample_clip), *words])
    except SystemExit as stop:  # argparse
        code = stop.code
    assert code == 2
    assert sentence in capsys.readouterr().err


def test_a_preview_is_announced_and_shows_the_frames(track, puppet_video, monkeypatch):
    shown = []
    monkeypatch.setattr(Preview, "write", lambda *words: shown.append((words[3], words[2])))
    code, said = track(puppet_video, "--preview", "127.0.0.1:0")
    assert code == 0
    assert re.search(r"The preview is at http://127\.0\.0\.1:\d+/\?token=[\w-]{32}\n", said)
    assert [result.frame_id for _, result in shown] == list(range(12))
    assert {source for source, _ in shown} == {str(puppet_video)}


def test_a_preview_for_other_machines_needs_a_token(track, puppet_video, monkeypatch):
    monkeypatch.delenv("EDGEPOSE_PREVIEW_TOKEN", raising=False)
    code, said = track(puppet_video, "--preview", "0.0.0.0:0")
    assert code == 2
    assert "EDGEPOSE_PREVIEW_TOKEN" in said


@pytest.mark.parametrize(
    ("words", "said_of"),
    [
        (["x" * 5000, "--fps", "2"], "--fps is for folders"),
        (["--video", "a\0b"], "Cannot write to"),
    ],
    ids=["a source that is too long", "a video with a NUL"],
)
def test_names_that_no_file_can_have_are_refused_in_a_sentence(capsys, sample_clip, words, said_of):
    source = [] if len(words) == 3 else [str(sample_clip)]
    assert main(["track", *source, *words]) in (1, 2)
    said = capsys.readouterr().err
    assert said_of in said and "went wrong inside" not in said


@pytest.mark.parametrize(("merged", "is_said"), [(0, True), (3, False)])
def test_that_a_file_ended_before_the_server_answered_is_said(merged, is_said):
    head = HeadStats("closed", 5, merged, {"too_late": 5 - merged}, {}, 0, None, None)
    assert ("None was merged: a file is read at full speed" in _head_summary(head)) is is_said
