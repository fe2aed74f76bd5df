import numpy as np
import pytest

from edgepose.datasets.boxes import corners_box
from edgepose.datasets.readers.mpii import ANNOTATION, read_mpii
from edgepose_runtime.errors import DataError
from edgepose_runtime.poses.skeletons import MPII16


def structures(*rows):
    """Rows of fields as MATLAB keeps them: an array of structures."""
    names = list(rows[0]) if rows else ["none"]
    array = np.empty(len(rows), [(name, object) for name in names])
    for index, row in enumerate(rows):
        array[index] = tuple(row[name] for name in names)
    return array


def point(joint, x, y, visible="1"):
    return {"id": joint, "x": x, "y": y, "is_visible": visible}


def person(points, x=40.0, y=30.0, scale=0.2):
    return {
        "x1": 1,
        "annopoints": structures({"point": structures(*points)}),
        "scale": scale,
        "objpos": structures({"x": x, "y": y}),
    }


NOBODY = {"x1": 1, "annopoints": [], "scale": [], "objpos": []}
POINTS = [
    point(0, 11, 41),
    point(8, 31, 11, []),
    point(9, 31, 5, []),
    point(10, 21, 21, "0"),
    point(15, 41, 22, 0),
]


@pytest.fixture
def root(tmp_path, write_matlab, write_picture):
    """Two pictures to train with, of two people and of one, and one to test with."""

    def write(*pictures, training=(1, 1, 0), folder=""):
        annolist = structures(
            *(
                {"image": structures({"name": f"{index}.jpg"}), "annorect": structures(*people)}
                for index, people in enumerate(pictures)
            )
        )
        release = structures(
            {"annolist": annolist, "img_train": np.array(training[: len(pictures)])}
        )
        write_matlab(tmp_path / folder / ANNOTATION, RELEASE=release)
        for index in range(len(pictures)):
            write_picture(tmp_path / "images" / f"{index}.jpg")
        return tmp_path

    return write


def test_everybody_with_joints_in_the_training_part_is_read(root):
    read = list(
        read_mpii(
            root([person(POINTS), NOBODY, person(POINTS)], [person(POINTS)], [person(POINTS)]),
            MPII16,
        )
    )
    assert [still.name for still in read] == [
        "person 0 of 0.jpg",
        "person 2 of 0.jpg",
        "person 0 of 1.jpg",
    ]
    assert read[0].image().shape == (48, 64, 3)


def test_joints_count_from_zero_and_those_there_are_not_weigh_nothing(root):
    (still,) = read_mpii(root([person(POINTS)]), MPII16)
    known = np.flatnonzero(still.keypoints[:, 2])
    assert known.tolist() == [0, 8, 9, 10, 15]
    assert still.keypoints[known, :2].tolist() == [[10, 40], [30, 10], [30, 4], [20, 20], [40, 21]]


def test_occluded_joints_weigh_nothing_if_that_is_asked_for(root):
    (still,) = read_mpii(root([person(POINTS)]), MPII16, occluded=False)
    assert np.flatnonzero(still.keypoints[:, 2]).tolist() == [0, 8, 9]


def test_the_crop_is_the_published_one(root):
    (still,) = read_mpii(root([person(POINTS, x=101.0, y=201.0, scale=2.0)]), MPII16)
    square = corners_box(still.box).squared()
    assert square.center == pytest.approx((100, 200 + 15 * 2))
    assert square.width == square.height == pytest.approx(200 * 2 * 1.25)


@pytest.mark.parametrize("folder", ["annot", "mpii_human_pose_v1_u12_2"])
def test_the_annotation_may_lie_in_the_folder_of_its_archive(root, folder):
    assert len(list(read_mpii(root([person(POINTS)], folder=folder), MPII16))) == 1


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (person([point(16, 5, 5)]), "joints of person 0 of 1.jpg"),
        (person([point("head", 5, 5)]), "joints of person 0 of 1.jpg"),
        (person([point(0, "left", 5)]), "joints of person 0 of 1.jpg"),
        (person(POINTS, scale="large"), "place of person 0 of 1.jpg"),
    ],
)
def test_a_broken_person_is_named_and_left_out(root, damage, problem):
    folder = root([person(POINTS)], [damage])
    problems = []
    assert len(list(read_mpii(folder, MPII16, on_broken=problems.append))) == 1
    assert problem in str(problems)
    with pytest.raises(DataError, match=problem):
        list(read_mpii(folder, MPII16))


def test_a_missing_picture_is_named_and_left_out(root):
    folder = root([person(POINTS)], [person(POINTS)])
    (folder / "images" / "1.jpg").unlink()
    problems = []
    assert len(list(read_mpii(folder, MPII16, on_broken=problems.append))) == 1
    assert "1.jpg" in str(problems)


def test_a_file_that_is_no_annotation_is_named(tmp_path, write_matlab):
    write_matlab(tmp_path / ANNOTATION, RELEASE=structures({"images": 1}))
    with pytest.raises(DataError, match="not the annotation of MPII"):
        list(read_mpii(tmp_path, MPII16))


def test_a_folder_without_annotation_is_named(tmp_path):
    with pytest.raises(DataError, match=ANNOTATION):
        read_mpii(tmp_path, MPII16)
