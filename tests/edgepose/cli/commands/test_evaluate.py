import json

import numpy as np
import pytest

from edgepose.cli.commands import evaluate
from edgepose.cli.main import main
from edgepose.datasets.clips import Clip
from edgepose.testing import FakeMethod, fake_model, standing_person
from edgepose_runtime.poses.skeletons import PENN13


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
    assert main(["evaluate", "fake", "--data", "penn", "--alpha", "0.2", *words]) == 0
    assert ("PPN-Swift (published)" in capsys.readouterr().out) == published
