"""The program that draws pose kernels of Dynamic Kernel Distillation."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

for package in ("torch", "onnx"):
    pytest.importorskip(package)

from benchmarks.dkd import kernel_strip  # noqa: E402
from edgepose.models import DKD  # noqa: E402
from edgepose.models.dkd.distillator import PoseKernels  # noqa: E402
from edgepose_converters.checkpoints.trained import TrainedModel  # noqa: E402
from edgepose_converters.export.bundling import BundleOptions, build_bundle  # noqa: E402
from edgepose_converters.export.verification import synthetic_crops  # noqa: E402
from edgepose_runtime.bundles.manifest import HeatmapSpec  # noqa: E402
from edgepose_runtime.poses.skeletons import PENN13  # noqa: E402
from tests.converters.conftest import TinyEncoder, seen  # noqa: E402


def untrained_dkd(folder: Path) -> Path:
    """A bundle that takes anything for a person."""
    network = seen(DKD(TinyEncoder(1), PoseKernels(13, 16)), (2, 3, 3, 256, 256))
    model = TrainedModel(network, PENN13, 256, HeatmapSpec(32, 8.0, 3.5), {})
    options = BundleOptions("dkd", score_threshold=0.01)
    return build_bundle(model, folder, options, synthetic_crops(256, 2))[0].path


def test_every_second_frame_shows_kernel_and_response_of_each_joint(tmp_path, sample_clip):
    bundle, target = untrained_dkd(tmp_path / "dkd"), tmp_path / "strip.png"
    options = ["--joints", "head,left_wrist", "--every", "2", "--columns", "3"]
    kernel_strip.main([str(bundle), str(sample_clip), str(target), *options])
    # A picture, then kernel and response of two joints, for three frames.
    assert cv2.imread(str(target)).shape == (5 * 100, 112 + 3 * 100, 3)


def test_models_without_pose_kernels_are_refused(tmp_path, project_root, sample_clip):
    other = project_root / "edgepose" / "bundles" / "ppn-swift"
    with pytest.raises(SystemExit, match="not a model of Dynamic Kernel Distillation"):
        kernel_strip.main([str(other), str(sample_clip), str(tmp_path / "strip.png")])
