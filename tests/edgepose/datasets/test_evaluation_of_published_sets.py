"""One option is all it takes to evaluate on a set as its authors publish it."""

import json

import cv2
import numpy as np
import pytest

from edgepose.cli.main import main
from edgepose.testing import standing_person
from edgepose_runtime.poses.conversion import convert_keypoints
from edgepose_runtime.poses.skeletons import JHMDB15, PENN13


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
    words = ["--dataset", "penn", "--root", str(root), "--segment-length", "5"]
    assert main(["evaluate", str(puppet_bundle.path), *words]) == 0
    printed = capsys.readouterr().out
    assert "100.0" in printed
    assert "PPN-Swift" in printed, "the paper's own rows"


@pytest.fixture
def sub_jhmdb(jhmdb, poses, puppet):
    """Adds a clip of the person to sub-JHMDB, annotated so many pixels to the left."""

    def write(name, flags, off=0):
        root = jhmdb(name, flags=flags, pos_img=_joints(poses, off), masks=_masks())
        show_puppets(root.glob(f"Rename_Images/golf/{name}/*.png"), puppet)
        return root

    return write


def _joints(poses, off):
    joints = convert_keypoints(poses[..., :2], PENN13, JHMDB15)
    joints[:, JHMDB15.index("neck")] = joints[:, JHMDB15.index("face")]  # Penn has no neck
    return joints.transpose(2, 1, 0) + 1 - np.array([off, 0])[:, None, None]


def _masks():
    masks = np.zeros((240, 320, 3), np.uint8)
    masks[35:211, 90:201] = 1
    return masks


def test_one_split_of_sub_jhmdb(puppet_bundle, sub_jhmdb, capsys):
    root = sub_jhmdb("some_clip", "211")
    words = ["--dataset", "sub-jhmdb", "--root", str(root), "--segment-length", "never"]
    assert main(["evaluate", str(puppet_bundle.path), *words]) == 0
    printed = capsys.readouterr().out
    assert "100.0" in printed
    assert "PPN-Swift" not in printed, "papers report on the mean of three splits"


@pytest.mark.parametrize("models", [1, 3])
def test_all_splits_of_sub_jhmdb_and_their_mean(puppet_bundle, sub_jhmdb, capsys, tmp_path, models):
    sub_jhmdb("right", "222")
    root, file = sub_jhmdb("wrong", "112", off=60), tmp_path / "out.json"
    words = ["--dataset", "sub-jhmdb", "--root", str(root), "--split", "all", "--json", str(file)]
    words += ["--segment-length", "never", "--alpha", "0.2"]
    assert main(["evaluate", *[str(puppet_bundle.path)] * models, *words]) == 0
    printed = capsys.readouterr().out
    assert [printed.count(f"{split}\n") for split in ("test1", "test2", "test3")] == [1, 1, 1]
    assert printed.index("mean of the splits") < printed.index("PPN-Swift (published)")
    content = json.loads(file.read_text())
    assert [part["data"]["split"] for part in content["parts"]] == ["test1", "test2", "test3"]
    found = [part["results"][0]["pck"]["PCK-body@0.2"] for part in content["parts"]]
    (average,) = content["average"]
    assert average["method"] == "puppet T=never"
    assert [each["mean7"] for each in found] == [100, 100, 50]
    assert average["pck"]["PCK-body@0.2"]["mean7"] == pytest.approx(250 / 3, abs=1e-3)


@pytest.mark.parametrize("split", ["all", "test1"])
def test_models_that_do_not_match_the_splits_are_refused(puppet_bundle, sub_jhmdb, capsys, split):
    root = sub_jhmdb("right", "222")
    words = ["--dataset", "sub-jhmdb", "--root", str(root), "--split", split]
    assert main(["evaluate", *[str(puppet_bundle.path)] * 2, *words]) == 2
    assert "2 models were given" in capsys.readouterr().err
