import zipfile

import numpy as np
import pytest

from edgepose.datasets.readers.stills import read_backgrounds, read_lspet, read_people
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import HALPE26, LSP14, PENN13

NAMES = ["a.jpg", "b.jpg", "c.jpg"]


@pytest.fixture
def root(tmp_path, draw_dots):
    """Three people; of the second only arms are known, and crowd and teacher agree on all."""
    points = np.random.default_rng(0).uniform(5, 40, (3, 26, 2))
    by_name = dict(zip(HALPE26.joints, range(26), strict=True))
    order = [by_name[joint] for joint in LSP14.joints]
    joints = np.concatenate([points[:, order], np.ones((3, 14, 1))], axis=-1)
    scores = np.full((3, 26, 1), 0.9)
    unsure = [not any(part in joint for part in ("elbow", "wrist")) for joint in HALPE26.joints]
    scores[1, unsure] = 0.2
    teacher = np.concatenate([points, scores], axis=-1)
    np.savez(tmp_path / "joints.npz", names=NAMES, joints=joints.astype(np.float32))
    np.savez(tmp_path / "rtmpose_s.npz", keypoints=teacher.astype(np.float16))
    np.savez(tmp_path / "labels.npz", names=NAMES, keypoints=teacher.astype(np.float16))
    write_zip(tmp_path, NAMES, draw_dots)
    return tmp_path


def write_zip(root, names, draw_dots):
    import cv2

    with zipfile.ZipFile(root / "images.zip", "w") as archive:
        for name in names:
            archive.writestr(name, cv2.imencode(".jpg", draw_dots([(9, 9)]))[1].tobytes())


def test_crowd_and_teacher_are_reconciled(root):
    stills = list(read_lspet(root, PENN13))
    assert [still.name for still in stills] == [f"{root.name}/{name}" for name in NAMES]
    assert all(still.keypoints.shape == (13, 3) for still in stills)
    assert stills[0].keypoints[1:, 2].tolist() == [1] * 12
    assert stills[0].image().shape == (48, 64, 3)


def test_people_are_kept_with_the_joints_that_the_teacher_is_sure_of(root):
    stills = list(read_people(root, PENN13))
    assert [still.name[-5:] for still in stills] == NAMES
    known = np.array(PENN13.joints)[stills[1].keypoints[:, 2] > 0]
    assert {name.partition("_")[2] for name in known} == {"elbow", "wrist"}


def test_people_of_whom_nearly_nothing_is_known_are_left_out(root):
    with np.load(root / "labels.npz") as table:
        changed = dict(table)
    changed["keypoints"][1, 9:, 2] = 0.2  # all limb joints but the shoulders and elbows
    changed["keypoints"][1, 7:9, 2] = 0.2
    np.savez(root / "labels.npz", **changed)
    assert [still.name[-5:] for still in read_people(root, PENN13)] == ["a.jpg", "c.jpg"]


@pytest.mark.parametrize("read", [read_lspet, read_people])
class TestBroken:
    def test_a_missing_member_is_named_and_left_out(self, root, read, draw_dots):
        write_zip(root, NAMES[1:], draw_dots)
        problems = []
        left = list(read(root, PENN13, problems.append))
        assert [still.name[-5:] for still in left][-1] == "c.jpg"
        assert len(problems) == 1
        assert "a.jpg" in str(problems[0])
        with pytest.raises(DataError, match=r"a\.jpg"):
            list(read(root, PENN13))

    def test_a_damaged_member_is_named_and_left_out(self, root, read):
        path = root / "images.zip"
        content = bytearray(path.read_bytes())
        content[200] ^= 255  # in the first picture's pixels: its checksum no longer fits
        path.write_bytes(content)
        problems = []
        assert len(list(read(root, PENN13, problems.append))) >= 1
        assert "a.jpg" in str(problems[0])

    @pytest.mark.parametrize("content", [None, b"", b"no archive", "half"])
    def test_an_archive_that_cannot_be_opened_is_named(self, root, read, content):
        path = root / "images.zip"
        half = path.read_bytes()[: path.stat().st_size // 2]
        path.unlink()
        if content is not None:
            path.write_bytes(half if content == "half" else content)
        with pytest.raises(DataError, match=r"images\.zip"):
            list(read(root, PENN13))

    def test_tables_that_do_not_belong_together_are_named(self, root, read):
        for name in ("labels.npz", "rtmpose_s.npz"):
            with np.load(root / name) as table:
                changed = dict(table)
            changed["keypoints"] = changed["keypoints"][:2]
            np.savez(root / name, **changed)
        with pytest.raises(DataError, match="do not belong together"):
            list(read(root, PENN13))


def test_the_real_stills_have_labels_inside_their_pictures(data_root):
    stills = list(read_people(data_root / "people", PENN13))
    with np.load(data_root / "people" / "labels.npz") as table:
        assert len(stills) == len(table["names"])
    height, width = stills[0].image().shape[:2]
    x, y, weight = stills[0].keypoints.T
    assert ((weight == 0) | ((x > -9) & (x < width + 9) & (y > -9) & (y < height + 9))).all()


def test_backgrounds_are_known_to_show_nobody(root):
    stills = list(read_backgrounds(root, PENN13))
    assert [still.name for still in stills] == [f"{root.name}/{name}" for name in NAMES]
    assert all(still.nobody and still.image().ndim == 3 for still in stills)
