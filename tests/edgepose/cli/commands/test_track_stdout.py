import csv
import json
import subprocess
import sys

import pytest


@pytest.fixture
def words(puppet_bundle, puppet_video):
    """``edgepose track`` with the puppet's networks, writing to stdout."""
    model = ("--model", str(puppet_bundle.path), "--num-threads", "1")
    command = (sys.executable, "-m", "edgepose", "track", str(puppet_video), *model)
    return [*command, "--jsonl", "-"]


def test_json_lines_alone_go_to_stdout_and_the_rest_to_stderr(words):
    done = subprocess.run(words, capture_output=True, check=True)
    header, *frames = map(json.loads, done.stdout.splitlines())
    assert header["format"] == "edgepose.poses"
    assert [frame["frame"] for frame in frames] == list(range(12))
    said = done.stderr.decode()
    assert "track: 12/12 (100 %)" in said and "A person in 12 of 12 frames" in said


def test_csv_has_a_row_for_each_frame_in_a_file_or_on_stdout(words, tmp_path):
    words = words[:-2]
    piped = subprocess.run([*words, "--csv", "-"], capture_output=True, check=True).stdout
    path = tmp_path / "poses.csv"
    subprocess.run([*words, "--csv", str(path)], capture_output=True, check=True)
    for content in (piped, path.read_bytes()):
        header, *rows = csv.reader(content.decode().splitlines())
        assert header[0] == "frame" and "head_x" in header
        assert [row[0] for row in rows] == list(map(str, range(12)))


def test_two_formats_do_not_share_stdout(words):
    done = subprocess.run([*words, "--csv", "-"], capture_output=True)
    assert done.returncode == 2
    assert b"--jsonl - and --csv - both write to stdout" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_reader_that_is_gone_ends_it_without_a_message(words):
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 128 + 13
    assert "rror" not in said and "roken" not in said and "edgepose:" not in said
