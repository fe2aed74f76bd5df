import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepose.datasets.readers.coco import read_coco
from edgepose.datasets.readers.registry import load_source
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import COCO17, PENN13

JOINTS = COCO17.num_joints
NOSE, LEFT_EAR, LEFT_WRIST, RIGHT_WRIST = 0, 3, 9, 10
CATEGORY = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}


def keypoints(**marks):
    """All joints visible at (10 + joint, 20), but for the visibilities given by name."""
    order = [marks.get(joint, 2) for joint in COCO17.joints]
    return [v for j, mark in enumerate(order) for v in (10 + j, 20, mark)]


def person(number=1, image=1, **fields):
    row = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0}
    return {**row, "keypoints": keypoints(), "bbox": [5, 6, 40, 30], **fields}


@pytest.fixture
def root(tmp_path, write_picture):
    """A function that writes annotations of two pictures, and returns their folder."""

    def write(*people, file="annotations.json", folder="images", **changes):
        images = [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
        content = {"images": images, "annotations": list(people), "categories": [CATEGORY]}
        path = tmp_path / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content | changes))
        for name in ("a.png", "b.png"):
            write_picture(tmp_path / folder / name)
        return tmp_path

    return write


def read(root, **options):
    return list(read_coco(root, options.pop("skeleton", COCO17), **options))


def test_everybody_with_a_labelled_joint_is_read_but_no_crowd(root):
    nobody = person(2, keypoints=[0] * 3 * JOINTS, num_keypoints=0)
    unlabelled = {"id": 3, "image_id": 1, "bbox": [1, 1, 5, 5]}
    crowd = person(4, iscrowd=1)
    found = read(root(person(1), nobody, unlabelled, crowd, person(5, image=2)))
    assert [still.picture.name for still in found] == ["a.png", "b.png"]
    assert "annotation 1 of" in found[0].name
    assert "annotation 5 of" in found[1].name
    assert found[0].image().shape == (48, 64, 3)


def test_joints_keep_their_places_and_those_without_a_label_weigh_nothing(root):
    (still,) = read(root(person(keypoints=keypoints(left_wrist=0, right_wrist=1))))
    assert np.flatnonzero(still.keypoints[:, 2] == 0).tolist() == [LEFT_WRIST]
    assert still.keypoints[RIGHT_WRIST].tolist() == [10 + RIGHT_WRIST, 20, 1]


def test_hidden_joints_weigh_nothing_if_that_is_asked_for(root):
    labels = keypoints(left_wrist=0, right_wrist=1)
    (still,) = read(root(person(keypoints=labels)), occluded=False)
    assert np.flatnonzero(still.keypoints[:, 2] == 0).tolist() == [LEFT_WRIST, RIGHT_WRIST]


def test_joints_are_converted_to_those_that_are_learned(root):
    (still,) = read(root(person(keypoints=keypoints(nose=0, left_wrist=0))), skeleton=PENN13)
    head = still.keypoints[PENN13.index("head")]
    assert head.tolist() == pytest.approx([10 + LEFT_EAR + 0.5, 20, 1]), "between the ears"
    assert still.keypoints[PENN13.index("left_wrist")].tolist() == [0, 0, 0]


def test_boxes_are_corners_from_the_edge_of_the_first_pixel(root):
    (still,) = read(root(person(bbox=[5, 6, 40, 30])))
    assert still.box.tolist() == [4.5, 5.5, 44.5, 35.5]


@pytest.mark.parametrize("box", [None, [], [0, 0, 0, 0]])
def test_a_person_needs_no_box(root, box):
    (still,) = read(root(person(bbox=box)))
    assert still.box is None


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("annotations.json", "images"),
        ("_annotations.coco.json", ""),
        ("annotations/instances.json", "images"),
        ("annotations/person_keypoints_train2017.json", "train2017"),
        ("annotations/person_keypoints_default.json", "images/default"),
        ("person_keypoints.json", "images"),
    ],
)
def test_files_lie_where_tools_and_coco_itself_put_them(root, file, folder):
    (still,) = read(root(person(), file=file, folder=folder))
    assert still.image().shape == (48, 64, 3)


def test_file_names_may_hold_the_folder(root):
    images = [{"id": 1, "file_name": "images/a.png"}]
    (still,) = read(root(person(), images=images))
    assert still.picture.name == "a.png"


def test_the_file_of_joints_is_found_among_those_of_other_annotations(root):
    folder = root(person(), file="annotations/person_keypoints_mine.json")
    (folder / "annotations" / "captions_mine.json").write_text("{}")
    (folder / "annotations" / "._person_keypoints_mine.json").write_bytes(b"\0")
    assert len(read(folder)) == 1


def test_no_annotation_file_or_several_are_refused(root, tmp_path):
    with pytest.raises(DataError, match=r"needs one annotation file .* found none"):
        read(tmp_path)
    (root(person()) / "b.json").write_text("{}")
    with pytest.raises(DataError, match=r"found annotations\.json, b\.json"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "cannot be read"),
        ("{", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "should hold an object .* it holds a list"),
        ("{}", "'images' in .* should be a list of objects"),
        ('{"images": [3]}', "'images' in .* should be a list of objects"),
        ('{"images": []}', "'annotations' in .* should be a list of objects"),
        ('{"images": [{"id": "1", "file_name": "a.png"}]}', "needs an 'id'"),
        ('{"images": [{"id": 1}]}', "'file_name', a text; got 1 and None"),
        ('{"images": [], "annotations": [], "categories": 3}', "'categories' in"),
    ],
)
def test_what_is_no_annotation_is_refused(tmp_path, text, problem):
    (tmp_path / "annotations.json").write_text(text)
    with pytest.raises(DataError, match=problem):
        read(tmp_path)


def test_joints_in_another_order_are_refused(root):
    category = {**CATEGORY, "keypoints": [*COCO17.joints[1:], "nose"]}
    with pytest.raises(
        DataError, match=r"category 'person' .* must be the 17 of COCO in this order"
    ):
        read(root(person(), categories=[category, {"id": 2, "name": "dog"}]))


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"image_id": 7}, "of the image 7, which is not among"),
        ({"image_id": [1]}, r"of the image \[1\]"),
        ({"keypoints": keypoints()[:-3]}, "must be a list of 51 numbers; got 48 values"),
        ({"keypoints": "left"}, "must be a list of 51 numbers; got str"),
        ({"keypoints": ["1", *keypoints()[1:]]}, "must be a list of 51 numbers"),
        ({"keypoints": [float("nan"), *keypoints()[1:]]}, "must hold finite numbers"),
        ({"keypoints": [10**400, *keypoints()[1:]]}, "must hold finite numbers"),
        ({"keypoints": keypoints(nose=3)}, "visibility of each joint .* must be 0"),
        ({"bbox": [1, 2, 3]}, "'bbox' of .* must be a list of 4 numbers"),
        ({"bbox": [1, 2, float("inf"), 3]}, "'bbox' of .* must hold finite numbers"),
    ],
)
def test_a_broken_person_is_named_and_left_out(root, changes, problem):
    folder = root(person(1), person(22, **changes))
    problems = []
    assert len(read(folder, on_broken=problems.append)) == 1
    assert "annotation 22 of" in str(problems)
    with pytest.raises(DataError, match=problem):
        read(folder)


@pytest.mark.parametrize(
    "name", ["../a.png", "images/../../a.png", "/a.png", "C:\\a.png", "..\\a.png"]
)
def test_pictures_outside_the_folder_are_refused(root, name):
    folder = root(person(), images=[{"id": 1, "file_name": name}])
    with pytest.raises(DataError, match="must lie within the folder"):
        read(folder)


@pytest.mark.parametrize("name", ["gone.png", "", "a\0.png", "a" * 5000])
def test_a_missing_picture_is_named_and_left_out(root, name):
    images = [{"id": 1, "file_name": name}, {"id": 2, "file_name": "b.png"}]
    folder = root(person(1), person(2, image=2), images=images)
    problems = []
    (still,) = read(folder, on_broken=problems.append)
    assert still.picture.name == "b.png"
    assert "of annotation 1" in str(problems)
    assert "is missing; looked in" in str(problems)


def test_a_broken_picture_is_refused_before_training_if_that_is_asked_for(root):
    folder = root(person(1), person(2, image=2))
    (folder / "images" / "b.png").write_bytes(b"no picture")
    assert len(load_source("coco", 1.0, folder, PENN13).images) == 2
    with pytest.raises(DataError, match=r"b\.png is cut off or not an image"):
        load_source("coco", 1.0, folder, PENN13, skip_broken=False)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["id", "image_id", "keypoints", "bbox", "iscrowd", "category_id"])


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(fields=st.dictionaries(FIELDS, JSON, max_size=3))
def test_whatever_an_annotation_holds_it_is_read_or_a_data_error(root, fields):
    found = read(root(person(**fields)), on_broken=lambda _: None)
    for still in found:
        assert still.keypoints.shape == (JOINTS, 3)
        assert np.isfinite(still.keypoints).all()
        assert set(still.keypoints[:, 2]) <= {0, 1}
