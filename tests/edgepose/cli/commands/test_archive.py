"""``edgepose archive``: a run, its report and its status."""

import shutil

import pytest

import edgepose
from edgepose.archive.folder import Failure
from edgepose.archive.report import Status
from edgepose.cli.archive_display import status_text
from edgepose.cli.main import main

pytest.importorskip("pyarrow", reason="archives need pyarrow: edgepose[archive]")


@pytest.fixture
def films(tmp_path, sample_clip):
    """A video and a file that is none."""
    folder = tmp_path / "films"
    folder.mkdir()
    shutil.copy(sample_clip, folder / "balance.mp4")
    (folder / "bad.mp4").write_text("no video")
    return folder


@pytest.mark.slow
def test_a_run_reports_what_it_did_and_what_failed(films, tmp_path, capsys):
    out = tmp_path / "poses"
    words = ["archive", str(films), "--out", str(out), "--workers", "1"]
    assert main(words) == 1
    printed = capsys.readouterr().out
    assert "Tracked 100 frames" in printed and "Units done: 1, failed: 1." in printed
    assert "Found 100 poses; 100 % of the frames have a person." in printed
    assert "1 done, 1 failed, 0 left; not running." in printed
    assert "failed: bad.mp4, from frame 0" in printed
    assert len(edgepose.read_poses(out)) == 100
    assert main(["archive", "--status", str(out)]) == 0
    assert "1 done, 1 failed, 0 left" in capsys.readouterr().out
    (films / "bad.mp4").unlink()
    assert main([*words, "--max-people", "2"]) == 2
    assert "was made with max_people 1, not 2" in capsys.readouterr().err


def test_a_folder_that_is_no_archive_has_no_status(tmp_path, capsys):
    assert main(["archive", "--status", str(tmp_path)]) == 1
    assert "is no archive" in capsys.readouterr().err


def test_a_source_is_needed(tmp_path, capsys):
    assert main(["archive", "--out", str(tmp_path)]) == 2
    assert "needs a folder, a manifest or a pattern" in capsys.readouterr().err


def test_the_status_of_a_run_has_its_rate_and_the_time_left():
    failure = Failure("u", "bad.mp4", 0, "It is no video.", 1, final=True, time=0.0)
    status = Status(7, (failure,), 3, True, 123.44, 3671.4)
    assert status_text(status).splitlines() == [
        "7 done, 1 failed, 3 left; running.",
        "123.4 frames/s in the present or last run.",
        "Time left: 1:01:11 (by file sizes).",
        "failed: bad.mp4, from frame 0: It is no video.",
    ]
