import numpy as np
import pytest

from edgepose.datasets.records import decode_picture
from edgepose.training.sets.backgrounds import BackgroundFinder
from edgepose.training.sets.people import LARGEST_SIDE, PeopleFinder, PeopleSettings
from edgepose.training.sets.sources import Picture


class Detector:
    """Says that boxes (x1, y1, x2, y2, score) are in each picture of full size."""

    def __init__(self, *boxes, width=640, elsewhere=()):
        self.boxes = np.array(boxes, np.float64).reshape(-1, 5)
        self.elsewhere = np.array(elsewhere, np.float64).reshape(-1, 5)
        self.width = width

    def detect(self, image, min_score):
        boxes = self.boxes if image.shape[1] == self.width else self.elsewhere
        return boxes[boxes[:, 4] >= min_score]


def teacher(score):
    """Returns a teacher that finds all joints in the middle of the box."""
    return lambda _, box: np.tile(np.float32([*box.center, score]), (26, 1))


@pytest.fixture
def image():
    """Black, but for a white spot in the middle of a person at (400, 240)."""
    image = np.zeros((480, 640, 3), np.uint8)
    image[230:251, 390:411] = 255
    return image


PERSON = (340, 90, 460, 390, 0.9)


def test_joints_lie_on_the_same_spot_of_the_cut_out_person(image):
    finder = PeopleFinder(Detector(PERSON), teacher(0.8), PeopleSettings(longest=200))
    (sample,) = finder.find(Picture("a", image), 3)
    cut = decode_picture(sample.picture, "a")
    rows, columns = np.nonzero(cut[..., 0] > 128)
    assert max(cut.shape) == 200
    assert sample.keypoints[0, :2] == pytest.approx((columns.mean(), rows.mean()), abs=0.6)


@pytest.mark.parametrize(
    ("boxes", "score"),
    [
        ([(0, 0, 40, 90, 0.9)], 0.8),  # small
        ([(340, 90, 460, 390, 0.4)], 0.8),  # doubtful
        ([PERSON, (345, 95, 455, 385, 0.9)], 0.8),  # behind another, who is left out as well
        ([PERSON], 0.3),  # the teacher is not sure
    ],
)
def test_people_of_whom_little_is_known_are_left_out(image, boxes, score):
    assert PeopleFinder(Detector(*boxes), teacher(score)).find(Picture("a", image), 3) == []


def test_the_largest_people_of_a_picture_are_taken(image):
    boxes = [(0, 0, 60, 120, 0.9), (200, 0, 300, 300, 0.9), (400, 0, 480, 200, 0.9)]
    finder = PeopleFinder(Detector(*boxes), teacher(0.8))
    assert [len(finder.find(Picture("a", image), most)) for most in (1, 2, 5)] == [1, 2, 3]


@pytest.mark.parametrize(
    "finder", [PeopleFinder(Detector(), teacher(0.8)), BackgroundFinder(Detector())]
)
def test_nothing_is_found_in_a_line_of_one_pixel(finder):
    line = np.zeros((1, 2 * LARGEST_SIDE, 3), np.uint8)
    assert finder.find(Picture("a", line), 1) == []


def test_a_picture_without_people_is_a_background(image):
    (sample,) = BackgroundFinder(Detector()).find(Picture("a", image), 1)
    assert decode_picture(sample.picture, "a").shape == (216, 288, 3)
    assert sample.keypoints.shape == (0, 3)


def test_beside_people_the_largest_stretch_is_one(image):
    (sample,) = BackgroundFinder(Detector(PERSON)).find(Picture("a", image), 1)
    cut = decode_picture(sample.picture, "a")
    assert cut.shape[:2] == (288, 288 * 340 // 480)  # 340 columns to the left of 640x480
    assert cut.max() < 30


def test_neither_narrow_stretches_nor_those_with_somebody_else_are(image):
    wide = (50, 40, 600, 440, 0.9)
    assert BackgroundFinder(Detector(wide)).find(Picture("a", image), 1) == []
    somebody = Detector(PERSON, elsewhere=[(0, 0, 50, 100, 0.25)])
    assert BackgroundFinder(somebody).find(Picture("a", image), 1) == []


def test_people_who_are_annotated_count_where_the_detector_misses_them():
    image = np.zeros((1000, 2 * LARGEST_SIDE, 3), np.uint8)
    boxes = np.array([[1200.0, 0, 3200, 1000]])
    (sample,) = BackgroundFinder(Detector(width=LARGEST_SIDE)).find(Picture("a", image, boxes), 1)
    assert decode_picture(sample.picture, "a").shape[:2] == (240, 288)  # 600x500, shrunk
