"""The programs that users copy run as they stand."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.servers import free_port
from tests.test_readme import assert_printed

SAMPLES = sorted((Path(__file__).resolve().parent.parent / "samples").glob("*.py"))
GALLERY = SAMPLES[0].parent.parent / "docs" / "samples.md"


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_samples_use_public_names_alone(path):
    imported = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            imported.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module)
    assert {name for name in imported if name.startswith("edgepose")} == {"edgepose"}


@pytest.fixture
def run(project_root: Path):
    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(project_root / "samples" / name), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def short_clip(sample_clip, tmp_path) -> Path:
    """The first frames of the sample clip."""
    capture, path = cv2.VideoCapture(str(sample_clip)), tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (540, 960))
    for _ in range(6):
        writer.write(capture.read()[1])
    writer.release()
    return path


def test_a_file_is_tracked_frame_by_frame(run, sample_clip):
    done = run("track_file.py", str(sample_clip))
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == list(map(str, range(100)))


def test_people_are_timed_by_half_of_the_picture(run, sample_clip):
    done = run("several_people.py", str(sample_clip))
    assert done.returncode == 0, done.stderr
    times = re.findall(r"^person (\d+): ([\d.]+) s in the (left|right) half$", done.stdout, re.M)
    assert times and len(times) == len(done.stdout.splitlines())
    assert max(float(seconds) for _, seconds, _ in times) > 0.5


def test_plain_and_refined_poses_are_put_side_by_side(run, tmp_path, short_clip):
    target = tmp_path / "pair.mp4"
    done = run("refine_side_by_side.py", str(short_clip), str(target))
    assert done.returncode == 0, done.stderr
    video = cv2.VideoCapture(str(target))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * 540


def test_a_gif_shows_every_third_frame(run, tmp_path, short_clip):
    image, target = pytest.importorskip("PIL.Image"), tmp_path / "overlay.gif"
    done = run("animated_gif.py", str(short_clip), str(target))
    assert done.returncode == 0, done.stderr
    with image.open(target) as animation:
        assert (animation.n_frames, animation.height) == (2, 420)
        assert animation.info["duration"] == 100  # ms, at 30 frames per second


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["track_file.py"], "usage: python track_file.py VIDEO"),
        (["track_file.py", "nowhere.mp4"], "nowhere.mp4 is missing or not a video."),
        (
            ["webcam.py", "77"],
            "The camera 77 cannot be opened: it is not connected, or another program is using it.",
        ),
    ],
)
def test_what_cannot_be_read_is_said(run, words, sentence):
    done = run(*words)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == sentence


@pytest.mark.parametrize(
    ("sample", "package", "sentence"),
    [
        ("animated_gif.py", "PIL", "This sample needs Pillow: pip install pillow"),
        ("archive_with_polars.py", "polars", "This sample needs polars: pip install polars"),
        ("gstreamer_appsink.py", "gi", "This sample needs GStreamer's Python bindings"),
    ],
)
def test_a_sample_says_which_package_it_lacks(project_root, sample, package, sentence):
    program = f"import runpy, sys; sys.modules[{package!r}] = None; runpy.run_path(sys.argv[1])"
    path = str(project_root / "samples" / sample)
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith(sentence) and done.stderr.count("\n") == 1


def test_a_server_that_is_not_there_keeps_nobody_from_tracking(run, sample_clip):
    pytest.importorskip("tritonclient.grpc")
    done = run("remote_head.py", str(sample_clip), f"grpc://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stderr
    # An event may be printed within a line: callbacks have a thread of their own.
    assert len(re.findall(r"frame \d+: ", done.stdout)) == 100
    assert "unreachable" in done.stdout


def test_an_archive_is_read_with_polars(run, tmp_path):
    pytest.importorskip("polars", reason="needs polars: pip install polars")
    from tests.edgepose.pose_files.conftest import everybody, result_of, write

    folder = tmp_path / "parts" / "3f"
    folder.mkdir(parents=True)
    write(folder / "part-3f.parquet", [result_of(0, everybody(1, 2)), result_of(1, ())])
    done = run("archive_with_polars.py", str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("walk.mp4") == 2


def test_two_sources_are_tracked_in_one_event_loop(run, short_clip):
    done = run("asynchronous.py", str(short_clip), str(short_clip))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [f"{short_clip}: 6 poses"] * 2


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
def test_each_sample_is_in_the_gallery(path):
    assert f"[{path.name}](../samples/{path.name})" in GALLERY.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("command", "output"),
    re.findall(
        r"```sh\npython samples/([^\n]*)\n```\n```text\n(.*?)```",
        GALLERY.read_text(encoding="utf-8"),
        flags=re.DOTALL,
    ),
)
def test_samples_print_what_the_gallery_shows(command, output, run, project_root, monkeypatch):
    monkeypatch.chdir(project_root)
    done = run(*command.split())
    assert done.returncode == 0, done.stderr
    assert_printed(done.stdout, output)
