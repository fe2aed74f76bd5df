import csv
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepose.sinks import CsvSink
from edgepose_runtime.errors import ClosedError, OutputError
from edgepose_runtime.poses.skeletons import PENN13


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "poses.csv"


def test_each_result_is_a_row_before_the_sink_is_closed(path, pose):
    with CsvSink(path, skeleton=PENN13) as out:
        out(pose(0))
        out.write(pose(1))
        first, second = rows(path)
    assert (first["frame"], second["frame"]) == ("0", "1")
    assert second["timestamp_ms"] == "40.0"
    assert first["origin"] == "initialised"
    assert first["reason"] == ""
    assert [first[f"roi_{part}"] for part in ("x", "y", "width", "height")] == [
        "1.0", "2.0", "3.0", "3.0",
    ]  # fmt: skip
    wrist = [float(first[f"right_wrist_{part}"]) for part in ("x", "y", "score")]
    np.testing.assert_allclose(wrist, pose().joint("right_wrist"), atol=5e-4)


def test_first_frames_without_a_person_do_not_change_the_columns(path, pose):
    with CsvSink(path, skeleton=PENN13) as out:
        out(pose(0, keypoints=False))
        out(pose(1))
    empty, full = rows(path)
    assert empty.keys() == full.keys()
    assert len(full) == 9 + 3 * 13
    assert None not in empty.values()
    assert empty["reason"] == "no person found"
    assert {empty[name] for name in empty if name not in ("frame", "timestamp_ms", "reason")} == {
        ""
    }


def test_a_missing_joint_is_empty_with_score_0(path, pose):
    result = pose()
    result.keypoints[4] = (np.nan, np.nan, 0)
    with CsvSink(path, skeleton=PENN13) as out:
        out(result)
    (row,) = rows(path)
    assert [row[f"left_elbow_{part}"] for part in ("x", "y", "score")] == ["", "", "0.0"]


def test_a_reason_may_have_commas_and_quotes(path, pose):
    import dataclasses

    reason = 'lost, "somewhere"'
    with CsvSink(path, skeleton=PENN13) as out:
        out(dataclasses.replace(pose(keypoints=False), reason=reason))
    assert rows(path)[0]["reason"] == reason


def test_a_full_disk_leaves_whole_rows(path, pose, small_disk):
    small_disk(1200)
    out = CsvSink(path, skeleton=PENN13)
    with pytest.raises(OutputError, match=r"poses\.csv': the disk is full"):
        for index in range(20):
            out(pose(index))
    found = rows(path)
    assert found
    assert all(None not in row.values() for row in found)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_disk_that_was_full_before_is_an_error_that_names_the_file(pose):
    out = CsvSink("/dev/full", skeleton=PENN13)
    with pytest.raises(OutputError, match="/dev/full"):
        out(pose())


def test_writing_to_a_closed_sink_is_an_error_and_closing_twice_is_not(path, pose):
    out = CsvSink(path, skeleton=PENN13)
    out.close()
    out.close()
    with pytest.raises(ClosedError):
        out(pose())


KILLED = """
import os, signal, sys
from edgepose.results import PoseResult
from edgepose.sinks import CsvSink
from edgepose_runtime.poses.skeletons import PENN13
out = CsvSink(sys.argv[1], skeleton=PENN13)
for index in range(5):
    out(PoseResult(index, 0.0, None, "no person found", None, None, None, {}, PENN13))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_every_row_it_wrote(path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [row["frame"] for row in rows(path)] == ["0", "1", "2", "3", "4"]


def test_of_several_people_each_has_a_row(path, several):
    with CsvSink(path, skeleton=PENN13, several=True) as out:
        out(several(0, 3, 7))
        out(several(1))
    found = rows(path)
    assert [(row["frame"], row["person"], row["state"]) for row in found] == [
        *[("0", "3", "tracked"), ("0", "7", "tracked"), ("1", "", "")]
    ]
    assert found[0]["reason"] == "" and found[2]["reason"] == "no person found"
    wrist = [float(found[1][f"right_wrist_{part}"]) for part in ("x", "y", "score")]
    np.testing.assert_allclose(wrist, several(0, 3, 7).people[1].keypoints[5], atol=5e-4)
