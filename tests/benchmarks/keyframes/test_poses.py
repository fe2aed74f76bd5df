"""Poses that are kept are those of one model."""

import numpy as np

from benchmarks.keyframes.poses import CLEAN, frame_wise_poses
from edgepose.datasets.clips import Clip
from edgepose.inference.model import PoseModel
from edgepose.testing import FakeMethod, standing_person
from edgepose_runtime.poses.skeletons import PENN13

HERE, THERE = standing_person((160, 120), 120), standing_person((170, 120), 120)
CLIP = Clip(
    name="walk/one.avi",
    film="film",
    frames=lambda: iter([np.zeros((240, 320, 3), np.uint8)]),
    keypoints=HERE[None],
    boxes=None,
    skeleton=PENN13,
    fps=25.0,
    split="val",
)


def x_of(person, name, folder, precision="float32"):
    model = PoseModel(name, FakeMethod(person), precision=precision)
    (clip,) = frame_wise_poses(model, [CLIP], folder)
    return round(float(clip.poses[CLEAN][0, :, 0].mean()))


def test_another_model_or_precision_is_not_given_the_poses_that_are_kept(tmp_path):
    assert x_of(HERE, "one", tmp_path) == 160
    assert x_of(THERE, "one", tmp_path) == 160  # kept
    assert x_of(THERE, "other", tmp_path) == 170
    assert x_of(THERE, "one", tmp_path, "bfloat16") == 170
