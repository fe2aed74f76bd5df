"""What lay at the path of an output stays until there is something to put in its place."""

import os
import subprocess
import sys

import cv2
import numpy as np
import pytest

from edgepose.sinks import CsvSink, JsonlSink, VideoSink
from edgepose_runtime.errors import OutputError
from edgepose_runtime.poses.skeletons import PENN13

FRAME = np.full((48, 64, 3), 128, np.uint8)


def open_sink(path):
    if path.suffix == ".jsonl":
        return JsonlSink(path, skeleton=PENN13, model="m", source="s")
    return CsvSink(path, skeleton=PENN13) if path.suffix == ".csv" else VideoSink(path, fps=25)


@pytest.fixture(params=["out.jsonl", "out.csv", "out.mp4", "out.avi"])
def earlier(request, tmp_path):
    path = tmp_path / request.param
    path.write_text("earlier results")
    return path


def test_a_run_without_a_frame_leaves_earlier_results(earlier):
    open_sink(earlier).close()
    assert earlier.read_text() == "earlier results"
    assert list(earlier.parent.iterdir()) == [earlier]


def test_the_first_frame_replaces_earlier_results(earlier, pose):
    with open_sink(earlier) as sink:
        sink.write(FRAME if isinstance(sink, VideoSink) else pose())
    assert not earlier.read_bytes().startswith(b"earlier")
    assert list(earlier.parent.iterdir()) == [earlier]


@pytest.mark.parametrize("name", ["out.jsonl", "out.csv"])
def test_a_disk_that_is_full_at_the_start_leaves_earlier_results(tmp_path, name, small_disk, pose):
    path = tmp_path / name
    path.write_text("earlier results")
    small_disk(100)  # less than the head
    with open_sink(path) as sink, pytest.raises(OutputError, match="the disk is full"):
        sink.write(pose())
    assert path.read_text() == "earlier results"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no links that anybody may make")
def test_a_link_stays_a_link(tmp_path, pose):
    (tmp_path / "data").mkdir()
    (tmp_path / "out.jsonl").symlink_to(tmp_path / "data" / "real.jsonl")
    with open_sink(tmp_path / "out.jsonl") as sink:
        sink.write(pose())
    assert (tmp_path / "out.jsonl").is_symlink()
    assert len((tmp_path / "data" / "real.jsonl").read_text().splitlines()) == 2


# What a process may write to a file is a disk that is full for it alone.
FULL = """
import resource, signal, sys
import numpy as np
from edgepose.sinks import VideoSink
from edgepose_runtime.errors import OutputError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), -1))
noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3)).astype(np.uint8)
try:
    with VideoSink(sys.argv[1], fps=25) as video:
        for _ in range(30):
            video.write(noise)
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows cannot limit the size of files")
@pytest.mark.parametrize("room", [0, 100, 500_000])
def test_an_mp4_on_a_full_disk_is_an_error_and_the_earlier_one_stays(tmp_path, room):
    path = tmp_path / "out.mp4"
    with VideoSink(path, fps=25) as video:
        video.write(FRAME)
    before = path.read_bytes()
    command = [sys.executable, "-c", FULL, str(path), str(room)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "The video" in done.stdout or "encode" in done.stdout, done.stderr
    assert "disk full" in done.stdout or "disk is full" in done.stdout
    assert path.read_bytes() == before
    assert cv2.VideoCapture(str(path)).read()[0]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a\0b.{}", "x" * 5000 + ".{}"])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "mp4", "avi"])
def test_a_name_that_no_file_can_have_is_a_typed_error(tmp_path, name, ending):
    with pytest.raises(OutputError, match="Cannot write to"):
        open_sink(tmp_path / name.format(ending))
