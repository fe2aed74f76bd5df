import json
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgepose.cli.commands import evaluate
from edgepose.cli.main import main
from edgepose.datasets.clips import Clip
from edgepose.refinement.thin_slicing import ThinSlicing
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import COCO17, PENN13


@pytest.fixture
def method(monkeypatch):
    """A model that sees the one person of the one clip that is evaluated."""
    person = standing_person((160, 120), height=120)
    clip = Clip(
        name="stand",
        film="film",
        frames=lambda: iter(np.zeros((3, 240, 320, 3), np.uint8)),
        keypoints=np.stack([person] * 3),
        boxes=None,
        skeleton=PENN13,
        fps=25.0,
        split="val",
    )
    method = FakeMethod(person)
    monkeypatch.setattr(evaluate, "select_clips", lambda _: [clip])
    monkeypatch.setattr(evaluate, "load", lambda *_, **__: fake_model(method))
    return method


def test_tables_and_json_hold_a_row_for_every_segment_length(method, tmp_path, capsys):
    file = tmp_path / "out.json"
    words = ["evaluate", "fake", "--segment-length", "body,2,never", "--alpha", "0.2"]
    assert main([*words, "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "PCK-torso@0.2" in printed
    assert "fake T=never" in printed
    content = json.loads(file.read_text())
    methods = [result["method"] for result in content["results"]]
    assert methods == ["fake body alone", "fake T=2", "fake T=never"]
    assert content["results"][1]["pck"]["PCK-body@0.2"]["micro"] == 100
    assert [row["method"] for row in content["uncertainty"]["intervals"]] == methods
    assert [row["reference"] for row in content["uncertainty"]["differences"]] == methods[:1] * 2


def test_the_tracker_protocol_runs_without_boxes(method, capsys):
    assert main(["evaluate", "fake", "--protocol", "tracker"]) == 0
    out = capsys.readouterr().out
    assert "fake tracker" in out and "fake tracker, unsmoothed" in out
    assert method.count("initialise") == 2, "once with smoothing, once without"


def test_options_of_the_other_protocol_are_refused(method, capsys):
    assert main(["evaluate", "fake", "--protocol", "tracker", "--flip"]) == 2
    assert "--flip" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["--segment-length", "0"], ["--segment-length", "often"], ["--scales", "a"]]
)
def test_values_that_cannot_be_read_are_wrong_usage(words):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "fake", *words])
    assert stopped.value.code == 2


def test_a_file_that_cannot_be_written_is_refused_before_the_work(method, tmp_path, capsys):
    assert main(["evaluate", "fake", "--json", str(tmp_path / "no" / "out.json")]) == 1
    assert "out.json" in capsys.readouterr().err
    assert not method.calls


@pytest.mark.parametrize("alpha", ["0", "-0.2", "nan", "0.2,inf"])
def test_a_tolerance_that_means_nothing_is_wrong_usage(method, capsys, alpha):
    assert main(["evaluate", "fake", f"--alpha={alpha}"]) == 2
    assert "alpha" in capsys.readouterr().err
    assert not method.calls


@pytest.mark.parametrize(
    ("words", "published"),
    [
        ([], True),
        (["--limit-clips", "1"], False),
        (["--split", "train"], False),
        (["--protocol", "tracker"], False),
    ],
)
def test_published_rows_stand_only_beside_the_same_clips_and_boxes(
    method, capsys, words, published
):
    assert main(["evaluate", "fake", "--dataset", "penn", "--alpha", "0.2", *words]) == 0
    assert ("PPN-Swift (published)" in capsys.readouterr().out) == published


def test_another_model_is_compared_on_the_same_clips(method, capsys):
    words = ["evaluate", "fake", "--compare", "other", "--segment-length", "2", "--alpha", "0.2"]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "difference to fake T=2" in printed
    assert "other T=2" in printed, "two models of one name are told apart"
    assert method.count("initialise") == 4, "frames 0 and 2 of each"


@pytest.mark.parametrize("option", [["--data-root", "{}"], ["--root", "{}/penn"]])
def test_the_folder_of_all_sets_or_of_this_one_may_be_given(monkeypatch, method, tmp_path, option):
    asked = []
    (clip,) = evaluate.select_clips(None)
    monkeypatch.setattr(evaluate, "select_clips", lambda chosen: asked.append(chosen) or [clip])
    words = [word.format(tmp_path) for word in option]
    assert main(["evaluate", "fake", "--dataset", "penn", *words]) == 0
    assert asked[0].root == tmp_path / "penn"


def test_both_folders_at_once_are_wrong_usage():
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "fake", "--data-root", ".", "--root", "."])
    assert stopped.value.code == 2


def test_help_says_which_part_of_validation_is_evaluated(capsys):
    with pytest.raises(SystemExit):
        main(["evaluate", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "this is val, all validation films, on which published figures are" in words


def test_a_peer_without_weights_is_an_error_that_says_where_to_get_them(method, capsys, tmp_path):
    words = ["--peers", "blazepose-heavy", "--weights", str(tmp_path)]
    assert main(["evaluate", "fake", *words]) == 1
    assert "pose_landmark_heavy.tflite" in capsys.readouterr().err
    assert main(["evaluate", "fake", "--peers", "openpose"]) == 2


@pytest.fixture
def people(method, monkeypatch):
    """Two photos of the person that the model sees."""
    (clip,) = evaluate.select_clips(None)
    labels = convert_keypoints(clip.keypoints[:1], PENN13, COCO17)
    person = replace(
        clip,
        frames=lambda: iter(np.zeros((1, 240, 320, 3), np.uint8)),
        keypoints=labels,
        boxes=np.array([[130, 55, 190, 185]], np.float32),
        skeleton=COCO17,
    )
    both = [replace(person, name=f"{film}#0", film=film) for film in ("a.jpg", "b.jpg")]
    monkeypatch.setattr(evaluate, "select_clips", lambda _: both)
    return method


def test_people_in_photos_have_figures_and_tables_of_their_own(people, tmp_path, capsys):
    file = tmp_path / "out.json"
    words = ["evaluate", "fake", "--dataset", "everyday", "--compare", "other"]
    assert main([*words, "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert "2 people in 2 photos" in printed
    assert "difference to fake" in printed
    content = json.loads(file.read_text())
    assert (content["protocol"], content["model"]) == ("everyday", "fake")
    assert [result["method"] for result in content["results"]] == ["fake", "other"]
    assert (content["results"][0]["AR12"], content["results"][0]["people"]) == (100, 2)
    assert content["uncertainty"]["intervals"][0]["AR12"]["low"] == 100


def test_people_whom_a_model_does_not_see_are_counted(people, capsys):
    people.person = None
    assert main(["evaluate", "fake", "--dataset", "everyday"]) == 0
    assert "2/2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["--protocol", "tracker"], ["--flip"], ["--crop", "image"], ["--segment-length", "never"]],
)
def test_options_for_clips_are_refused_for_people(people, capsys, words):
    assert main(["evaluate", "fake", "--dataset", "everyday", *words]) == 2
    assert f"{words[0]} cannot be used" in capsys.readouterr().err
    assert not people.calls


@pytest.fixture
def videos_of_several(tmp_path, sample_clip):
    """The sample clip's first frames with one annotated person."""
    capture = cv2.VideoCapture(str(sample_clip))
    writer = cv2.VideoWriter(
        str(tmp_path / "one.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 60, (540, 960)
    )
    for _ in range(4):
        writer.write(capture.read()[1])
    writer.release()
    rows = [[frame, 5, 180, 180, 360, 900] for frame in range(4)]
    np.savez(tmp_path / "one_boxes.npz", rows=np.array(rows, float))
    return tmp_path


def test_several_people_are_evaluated_by_their_identities(videos_of_several, tmp_path, capsys):
    pytest.importorskip("trackeval", reason="TrackEval is not installed")
    file = tmp_path / "out.json"
    words = ["--dataset", "several", "--root", str(videos_of_several), "--num-threads", "1"]
    assert main(["evaluate", "ppn-swift", *words, "--json", str(file)]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in ("HOTA", "IDF1", "MOTA", "switches"))
    (result,) = json.loads(file.read_text())["results"]
    assert [clip["clip"] for clip in result["clips"]] == ["one", "all"]
    assert (result["clips"][1]["people"], result["clips"][1]["switches"]) == (4, 0)


def test_options_of_clips_are_refused_for_several_people(capsys):
    assert main(["evaluate", "--dataset", "several", "--split", "val", "--alpha", "0.1"]) == 2
    error = capsys.readouterr().err
    assert "--split" in error and "--alpha" in error and "several" in error


def test_modes_of_the_tracker_are_rows_beside_it_with_what_they_processed(
    monkeypatch, method, tmp_path, capsys
):
    (clip,) = evaluate.select_clips(None)
    picture = np.random.default_rng(0).integers(0, 255, (240, 320, 3), np.uint8)
    clip = replace(
        clip,
        frames=lambda: iter([picture.copy()] * 12),  # optical flow needs a texture to follow
        keypoints=np.stack([clip.keypoints[0]] * 12),
    )
    monkeypatch.setattr(evaluate, "select_clips", lambda _: [clip])
    file = tmp_path / "out.json"
    modes = ["auto", "max_key_rate=0.5,lag_frames=2", "file,rate=0.4"]
    words = [word for mode in modes for word in ("--key-frames", mode)]
    assert main(["evaluate", "--protocol", "tracker", *words, "--json", str(file)]) == 0
    assert "processed %" in capsys.readouterr().out
    content = json.loads(file.read_text())
    tracker, unsmoothed, auto, late, whole_file = content["results"]
    assert tracker["processed_percent"] == unsmoothed["processed_percent"] == 100
    assert auto["method"] == "fake key frames"
    assert late["method"] == "fake key frames max_key_rate=0.5,lag_frames=2"
    assert whole_file["method"] == "fake key frames of a file rate=0.4"
    assert auto["processed_percent"] < 100 and whole_file["processed_percent"] < 100
    assert all(row["pck"]["PCK-torso@0.2"]["micro"] == 100 for row in (auto, late, whole_file))
    assert content["modes"][2] == "key frames of a file rate=0.4"
    compared = [row["method"] for row in content["uncertainty"]["differences"]]
    assert compared[-1] == whole_file["method"]


def test_refinement_is_evaluated_as_a_mode(monkeypatch, method, capsys):
    asked = []
    monkeypatch.setattr(
        evaluate, "in_mode", lambda model, mode: asked.append(mode) or evaluate.as_tracker(model)
    )
    words = [
        "--protocol",
        "tracker",
        "--refine",
        "thin-slicing",
        "--refine",
        "thin-slicing,lag_frames=4",
    ]
    assert main(["evaluate", "fake", *words]) == 0
    assert asked == [ThinSlicing(), ThinSlicing(lag_frames=4)]


@pytest.mark.parametrize(
    "words",
    [
        ["--key-frames", "often"],
        ["--key-frames", "max_key_rate=2"],
        ["--key-frames", "lag_frames=x"],
        ["--key-frames", "file,rate=0"],
        ["--key-frames", "file,tolerance=0.1"],
        ["--refine", "median"],
        ["--refine", "thin-slicing,lag_frames=-1"],
    ],
)
def test_modes_that_cannot_be_read_are_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "fake", "--protocol", "tracker", *words])
    assert stopped.value.code == 2
    assert words[0] in capsys.readouterr().err


@pytest.mark.parametrize("words", [[], ["--dataset", "several"], ["--dataset", "everyday"]])
def test_modes_are_refused_where_no_tracker_is_evaluated(method, capsys, words):
    assert main(["evaluate", "fake", "--key-frames", "auto", *words]) == 2
    assert "--protocol tracker" in capsys.readouterr().err
    assert not method.calls
