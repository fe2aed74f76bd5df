import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edgepose.sinks import JsonlSink
from edgepose_runtime.errors import ClosedError, ConfigError, OutputError
from edgepose_runtime.poses.skeletons import PENN13


def sink(path):
    return JsonlSink(path, skeleton=PENN13, model="ppn-swift", source="walk.mp4")


def lines(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_first_line_says_what_the_file_is(tmp_path):
    path = tmp_path / "poses.jsonl"
    sink(path).close()
    (header,) = lines(path)
    assert header == {
        "format": "edgepose.poses",
        "version": 1,
        "skeleton": "penn13",
        "joints": list(PENN13.joints),
        "model": "ppn-swift",
        "source": "walk.mp4",
    }


def test_a_source_whose_name_is_not_utf8_is_written(tmp_path):
    path = tmp_path / "poses.jsonl"
    JsonlSink(path, skeleton=PENN13, model="ppn-swift", source="walk\udcff").close()
    assert lines(path)[0]["source"] == "walk\udcff"


def test_each_result_is_readable_before_the_sink_is_closed(tmp_path, pose):
    path = tmp_path / "poses.jsonl"
    with sink(path) as out:
        out.write(pose(0))
        out(pose(1))
        first, second = lines(path)[1:]
    assert (first["frame"], second["frame"]) == (0, 1)
    assert second["timestamp_ms"] == 40.0
    assert first["origin"] == "initialised"
    assert first["roi"] == [1.0, 2.0, 3.0, 3.0]
    assert first["key_frame_age"] == 0
    assert first["latency_ms"] == {"crop": 0.123, "total": 1.0}
    np.testing.assert_allclose(first["keypoints"], pose().keypoints, atol=5e-4)


def test_a_frame_without_a_person_is_null_with_the_reason(tmp_path, pose):
    path = tmp_path / "poses.jsonl"
    with sink(path) as out:
        out.write(pose(keypoints=False))
    record = lines(path)[1]
    assert record["keypoints"] is None
    assert record["roi"] is None
    assert record["origin"] is None
    assert record["reason"] == "no person found"


def test_a_missing_joint_is_null_because_json_has_no_nan(tmp_path, pose):
    path = tmp_path / "poses.jsonl"
    result = pose()
    result.keypoints[4] = (np.nan, np.nan, 0)
    with sink(path) as out:
        out.write(result)
    assert lines(path)[1]["keypoints"][4] == [None, None, 0.0]


def test_an_existing_file_is_replaced_by_the_first_frame(tmp_path, pose):
    path = tmp_path / "poses.jsonl"
    path.write_text("something else\n" * 100)
    with sink(path) as out:
        out.write(pose())
    assert len(lines(path)) == 2


def test_an_existing_file_stays_where_there_is_no_frame(tmp_path):
    path = tmp_path / "poses.jsonl"
    path.write_text("something else\n")
    sink(path).close()
    assert path.read_text() == "something else\n"


@pytest.mark.parametrize(
    ("name", "reason"), [("", "it is a folder"), ("missing/poses.jsonl", "there is no folder")]
)
def test_a_path_that_cannot_be_written_is_refused_with_the_reason(tmp_path, name, reason):
    with pytest.raises(OutputError, match=reason):
        sink(tmp_path / name)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has /dev/full")
def test_a_full_disk_is_an_error_that_names_the_file(pose):
    out = sink("/dev/full")
    with pytest.raises(OutputError, match="/dev/full"):
        out.write(pose())


def test_writing_to_a_closed_sink_is_an_error_and_closing_twice_is_not(tmp_path, pose):
    out = sink(tmp_path / "poses.jsonl")
    out.close()
    out.close()
    with pytest.raises(ClosedError):
        out.write(pose())


KILLED = """
import os, signal, sys
from edgepose.results import PoseResult
from edgepose.sinks import JsonlSink
from edgepose_runtime.poses.skeletons import PENN13
out = JsonlSink(sys.argv[1], skeleton=PENN13, model="ppn-swift", source="walk.mp4")
for index in range(5):
    out.write(PoseResult(index, 0.0, None, "no person found", None, None, None, {}, PENN13))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_killed_process_leaves_every_line_it_wrote(tmp_path):
    path = tmp_path / "poses.jsonl"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert [record["frame"] for record in lines(path)[1:]] == [0, 1, 2, 3, 4]


def test_of_several_people_each_line_has_a_list(tmp_path, several):
    path = tmp_path / "poses.jsonl"
    with JsonlSink(path, skeleton=PENN13, model="m", source="s", several=True) as out:
        out.write(several(0, 3, 7))
        out.write(several(1))
    header, first, second = lines(path)
    assert (header["format"], header["version"]) == ("edgepose.poses", 2)
    assert [person["person"] for person in first["people"]] == [3, 7]
    assert set(first["people"][0]) == {
        *("person", "keypoints", "score", "roi", "origin", "key_frame_age", "state")
    }
    assert len(first["people"][0]["keypoints"]) == 13 and first["reason"] is None
    assert second["people"] == [] and second["reason"] == "no person found"


def test_version_1_has_the_main_person_of_several(tmp_path, several):
    path = tmp_path / "poses.jsonl"
    with sink(path) as out:
        out.write(several(0, 3, 7))
    header, line = lines(path)
    assert header["version"] == 1 and "people" not in line
    np.testing.assert_allclose(line["keypoints"], several(0, 3).keypoints, atol=5e-4)


def test_one_person_may_be_written_as_a_list_of_one(tmp_path, pose):
    path = tmp_path / "poses.jsonl"
    with JsonlSink(path, skeleton=PENN13, model="m", source="s", several=True) as out:
        out.write(pose(0))
    (person,) = lines(path)[1]["people"]
    assert (person["person"], person["state"]) == (1, "tracked")


class PipeThatTakesTenBytes(io.BytesIO):
    """An unbuffered stream that writes a part of what it is given."""

    def write(self, piece):
        return super().write(piece[:10])


def test_an_open_stream_gets_the_same_lines_and_stays_open(tmp_path, pose):
    stream = PipeThatTakesTenBytes()
    for path in (stream, tmp_path / "poses.jsonl"):
        with sink(path) as out:
            out.write(pose(0))
            out.write(pose(1))
    assert stream.getvalue() == (tmp_path / "poses.jsonl").read_bytes()
    with pytest.raises(ClosedError):
        out.write(pose())


def test_an_open_stream_gets_the_header_where_there_is_no_frame():
    stream = io.BytesIO()
    with sink(stream) as out:
        pass
    out.close()
    assert stream.getvalue().count(b"\n") == 1


def test_a_stream_that_was_closed_is_an_error(pose):
    stream = io.BytesIO()
    out = sink(stream)
    stream.close()
    with pytest.raises(OutputError, match="output stream"):
        out.write(pose())


@pytest.mark.parametrize("target", [object(), {"a": 1}, io.StringIO()])
def test_what_is_neither_a_path_nor_a_binary_stream_is_refused(target):
    with pytest.raises(ConfigError, match=f"got {type(target).__name__}"):
        JsonlSink(target, skeleton=PENN13, model="m", source="s")
