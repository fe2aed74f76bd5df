import zipfile

import cv2
import numpy as np
import pytest

from edgepose.datasets.readers.everyday import read_everyday_clips
from edgepose.datasets.readers.registry import KINDS
from edgepose.evaluation.boxes import person_boxes
from edgepose_runtime.errors import ConfigError, DataError
from edgepose_runtime.poses.skeletons import COCO17

NAMES = ["a.jpg", "b.jpg", "b.jpg"]
BOX = [10.0, 20, 64, 30]


@pytest.fixture
def arrays():
    """Three people in two photos, of whom each has the least there must be to be evaluated."""
    keypoints = np.zeros((3, 17, 3), np.float32)
    keypoints[:, :6] = (30, 40, 2)
    keypoints[:, 5] = (31, 41, 1)
    return {"names": NAMES, "boxes": np.array([BOX] * 3, np.float32), "keypoints": keypoints}


@pytest.fixture
def write(tmp_path, arrays):
    """A function that writes the set, with other arrays or pictures, and returns its folder."""

    def write_set(pictures=None, **changes):
        np.savez(tmp_path / "joints.npz", **(arrays | changes))
        photo = cv2.imencode(".png", np.full((100, 120, 3), 7, np.uint8))[1].tobytes()
        with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
            for name, content in (pictures or {"a.jpg": photo, "b.jpg": photo}).items():
                archive.writestr(name, content)
        return tmp_path

    return write_set


def test_each_person_is_a_clip_of_one_frame(write):
    clips = read_everyday_clips(write())
    assert [clip.name for clip in clips] == ["a.jpg#0", "b.jpg#1", "b.jpg#2"]
    assert [clip.film for clip in clips] == NAMES
    (frame,) = clips[0].frames()
    assert (frame.shape, frame[0, 0].tolist()) == ((100, 120, 3), [7, 7, 7])
    assert clips[0].skeleton is COCO17
    (box,) = person_boxes(clips[0])
    assert box.as_tuple() == pytest.approx(BOX)


def test_hidden_joints_count_and_those_without_label_do_not(write):
    keypoints = read_everyday_clips(write())[0].keypoints[0]
    assert keypoints[5].tolist() == [31, 41, 1]
    assert keypoints[:, 2].tolist() == [1] * 6 + [0] * 11


def test_people_who_are_too_small_are_left_out(write, arrays):
    arrays["boxes"][1, 2:] = 63.9, 63.9
    assert [clip.name for clip in read_everyday_clips(write())] == ["a.jpg#0", "b.jpg#2"]


@pytest.mark.parametrize(
    "unlabelled", [slice(0, 1), slice(5, 6)], ids=["five labels", "none below the face"]
)
def test_people_with_few_labels_are_left_out(write, arrays, unlabelled):
    arrays["keypoints"][0, unlabelled, 2] = 0
    assert [clip.name for clip in read_everyday_clips(write())] == ["b.jpg#1", "b.jpg#2"]


def test_a_face_alone_is_not_evaluated_however_many_labels(write, arrays):
    arrays["keypoints"][0, 5:] = 0
    arrays["keypoints"][0, :5] = (30, 40, 2)
    assert "a.jpg#0" not in [clip.name for clip in read_everyday_clips(write())]


def test_there_is_one_split_and_it_is_not_for_training(write):
    with pytest.raises(ConfigError, match="'train'"):
        read_everyday_clips(write(), "train")
    assert "everyday" not in KINDS


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keypoints": np.zeros((3, 13, 3))}, "'keypoints' in .* any x 17 x 3 numbers"),
        ({"boxes": np.zeros((2, 4))}, "'boxes' in .* should hold 3 x 4 numbers"),
        ({"names": NAMES[:2]}, "'names' in .* should hold 3 texts"),
        ({"names": [1, 2, 3]}, "'names' in .* should hold 3 texts"),
        ({"keypoints": np.full((3, 17, 3), 3.0)}, "must be 0 .* such as 3"),
    ],
)
def test_arrays_that_do_not_fit_are_errors(write, changes, message):
    with pytest.raises(DataError, match=message):
        read_everyday_clips(write(**changes))


@pytest.mark.parametrize("box", [[10, 20, np.nan, 30], [10, 20, 90, 0], [np.inf, 20, 90, 90]])
def test_a_box_that_is_none_names_the_person(write, arrays, box):
    arrays["boxes"][1] = box
    with pytest.raises(DataError, match=r"b\.jpg#1"):
        read_everyday_clips(write())


def test_a_joint_that_is_not_finite_names_the_person(write, arrays):
    arrays["keypoints"][2, 3, 0] = np.nan
    with pytest.raises(DataError, match=r"b\.jpg#2 has joints that are not finite"):
        read_everyday_clips(write())


@pytest.mark.parametrize("file", ["joints.npz", "images.zip"])
@pytest.mark.parametrize("damage", ["missing", "cut off", "of other bytes"])
def test_files_that_are_missing_or_damaged_are_named(write, file, damage):
    path = write() / file
    content = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(content[: len(content) // 2] if damage == "cut off" else b"other")
    with pytest.raises(DataError, match=file):
        read_everyday_clips(path.parent)


def test_a_table_without_boxes_says_so(write, tmp_path, arrays):
    write()
    del arrays["boxes"]
    np.savez(tmp_path / "joints.npz", **arrays)
    with pytest.raises(DataError, match="lacks boxes"):
        read_everyday_clips(tmp_path)


def test_people_of_a_missing_photo_can_be_left_out_by_name(write):
    photo = cv2.imencode(".png", np.zeros((9, 9, 3), np.uint8))[1].tobytes()
    root, broken = write({"a.jpg": photo}), []
    clips = read_everyday_clips(root, on_broken=broken.append)
    assert [clip.name for clip in clips] == ["a.jpg#0"]
    assert len(broken) == 2 and all("b.jpg" in str(error) for error in broken)


def test_a_photo_that_is_none_is_an_error_when_it_is_decoded(write):
    clips = read_everyday_clips(write({"a.jpg": b"none", "b.jpg": b"none"}))
    with pytest.raises(DataError, match=r"a\.jpg"):
        list(clips[0].frames())


def test_the_real_set_has_as_many_people_as_its_description_says(data_root):
    clips = read_everyday_clips(data_root / "everyday")
    assert len(clips) == 166
