"""The programs that users copy run as they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.servers import free_port


@pytest.fixture
def run(project_root: Path):
    def run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(project_root / "samples" / name), *words]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture
def short_clip(sample_clip, tmp_path) -> Path:
    """The first frames of the sample clip."""
    video, path = cv2.VideoCapture(str(sample_clip)), tmp_path / "short.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30, (540, 960))
    for _ in range(6):
        writer.write(video.read()[1])
    writer.release()
    return path


def test_a_file_is_tracked_frame_by_frame(run, sample_clip):
    done = run("track_file.py", str(sample_clip))
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == list(map(str, range(100)))


def test_plain_and_refined_poses_are_put_side_by_side(run, tmp_path, short_clip):
    target = tmp_path / "pair.mp4"
    done = run("refine_side_by_side.py", str(short_clip), str(target))
    assert done.returncode == 0, done.stderr
    video = cv2.VideoCapture(str(target))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 2 * 540


def test_distilled_kernels_are_drawn(run, tmp_path, short_clip):
    for package in ("torch", "onnx"):
        pytest.importorskip(package)
    bundle, target = untrained_dkd(tmp_path / "dkd"), tmp_path / "strip.png"
    words = ("--joints", "head,left_wrist", "--every", "2")
    done = run("distilled_kernels.py", str(bundle), str(short_clip), str(target), *words)
    assert done.returncode == 0, done.stderr
    # Three frames of six: the picture, then kernel and response of two joints.
    assert cv2.imread(str(target)).shape == (5 * 100, 112 + 3 * 100, 3)


def untrained_dkd(folder: Path) -> Path:
    """A bundle that takes anything for a person."""
    from edgepose.models import DKD
    from edgepose.models.dkd.distillator import PoseKernels
    from edgepose_converters.checkpoints.trained import TrainedModel
    from edgepose_converters.export.bundling import BundleOptions, build_bundle
    from edgepose_converters.export.verification import synthetic_crops
    from edgepose_runtime.bundles.manifest import HeatmapSpec
    from edgepose_runtime.poses.skeletons import PENN13
    from tests.converters.conftest import TinyEncoder, seen

    network = seen(DKD(TinyEncoder(1), PoseKernels(13, 16)), (2, 3, 3, 256, 256))
    model = TrainedModel(network, PENN13, 256, HeatmapSpec(32, 8.0, 3.5), {})
    options = BundleOptions("dkd", score_threshold=0.01)
    return build_bundle(model, folder, options, synthetic_crops(256, 2))[0].path


def test_only_models_with_kernels_have_them_drawn(run, project_root, short_clip, tmp_path):
    pytest.importorskip("onnx")
    other = project_root / "edgepose" / "bundles" / "ppn-swift"
    done = run("distilled_kernels.py", str(other), str(short_clip), str(tmp_path / "strip.png"))
    assert done.returncode == 1
    assert "no model of Dynamic Kernel Distillation" in done.stderr


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


def test_a_server_that_is_not_there_keeps_nobody_from_tracking(run, sample_clip):
    pytest.importorskip("tritonclient.grpc")
    done = run("remote_head.py", str(sample_clip), f"grpc://127.0.0.1:{free_port()}")
    assert done.returncode == 0, done.stderr
    frames = [line for line in done.stdout.splitlines() if line.startswith("frame ")]
    assert len(frames) == 100
    assert "unreachable" in done.stdout
