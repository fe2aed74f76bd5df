"""One option is all it takes to evaluate on a set as its authors publish it."""

import cv2
import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose.testing import standing_person
from edgepose_runtime.conversion import convert_keypoints
from edgepose_runtime.skeletons import JHMDB15, PENN13


@pytest.fixture
def poses():
    """A person who walks to the right in 3 frames."""
    return np.stack([standing_person((140 + 5 * t, 120), 160) for t in range(3)])


def show_puppets(files, puppet):
    for index, path in enumerate(sorted(files)):
        assert cv2.imwrite(str(path), puppet((140 + 5 * index, 120)))


def test_penn(puppet_bundle, penn, poses, puppet, capsys):
    root = penn(x=poses[..., 0], y=poses[..., 1], bbox=np.tile([90.0, 35, 200, 210], (3, 1)))
    show_puppets(root.glob("frames/0001/*.jpg"), puppet)
    words = ["--data", "penn", "--root", str(root), "--segment-length", "5"]
    assert main(["evaluate", str(puppet_bundle.path), *words]) == 0
    printed = capsys.readouterr().out
    assert "100.0" in printed
    assert "PPN-Swift" in printed, "the paper's own rows"


def test_sub_jhmdb(puppet_bundle, jhmdb, poses, puppet, capsys):
    joints = convert_keypoints(poses[..., :2], PENN13, JHMDB15)
    joints[:, JHMDB15.index("neck")] = joints[:, JHMDB15.index("face")]  # Penn has no neck
    masks = np.zeros((240, 320, 3), np.uint8)
    masks[35:211, 90:201] = 1
    root = jhmdb(flags="211", pos_img=joints.transpose(2, 1, 0) + 1, masks=masks)
    show_puppets(root.glob("Rename_Images/golf/some_clip/*.png"), puppet)
    words = ["--data", "sub-jhmdb", "--root", str(root), "--segment-length", "never"]
    assert main(["evaluate", str(puppet_bundle.path), *words]) == 0
    printed = capsys.readouterr().out
    assert "100.0" in printed
    assert "PPN-Swift" in printed, "the paper's own rows"
