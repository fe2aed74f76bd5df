import numpy as np
import pytest

from edgepose_runtime.geometry.boxes import areas, box_overlaps, enlarged_extent, intersections


def test_overlaps_are_intersections_over_unions():
    first = np.array([[0.0, 0, 10, 10]])
    second = np.array([[5.0, 0, 15, 10, 0.9], [20, 20, 30, 30, 0.8], [0, 0, 10, 10, 0.7]])
    assert intersections(first, second) == pytest.approx(np.array([[50, 0, 100]]))
    assert box_overlaps(first, second) == pytest.approx(np.array([[1 / 3, 0, 1]]))
    assert areas(second) == pytest.approx([100, 100, 100])


def test_overlaps_of_several_boxes_with_several():
    first = np.array([[0.0, 0, 10, 10], [20, 20, 30, 30]])
    second = np.array([[5.0, 0, 15, 10], [0, 0, 10, 10], [100, 100, 101, 101]])
    assert box_overlaps(first, second) == pytest.approx(np.array([[1 / 3, 1, 0], [0, 0, 0]]))


def test_an_extent_is_enlarged_by_parts_of_its_height():
    points = np.array([[10, 150], [50, 100], [20, 200]], np.float32)
    assert enlarged_extent(points, 0.12, 0.1, 0.06) == pytest.approx([4, 88, 56, 210])


@pytest.mark.parametrize("points", [np.empty((0, 2)), np.array([[3.0, 4.0]]), np.ones((3, 2))])
def test_points_without_height_have_no_extent(points):
    assert enlarged_extent(points, 0.1, 0.1, 0.1) is None


def test_boxes_without_area_overlap_nothing():
    flat = np.array([[5.0, 5, 5, 5]])
    assert box_overlaps(flat, flat)[0, 0] == 0
