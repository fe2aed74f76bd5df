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


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGPIPE")
def test_a_reader_that_is_gone_ends_it_without_a_message(words):
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        said = process.stderr.read().decode()
        assert process.wait() == 128 + 13
    assert "rror" not in said and "roken" not in said and "edgepose:" not in said
