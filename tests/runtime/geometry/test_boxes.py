import numpy as np
import pytest

from edgepose_runtime.geometry.boxes import areas, box_overlaps, intersections


def test_overlaps_are_intersections_over_unions():
    first = np.array([[0.0, 0, 10, 10]])
    second = np.array([[5.0, 0, 15, 10, 0.9], [20, 20, 30, 30, 0.8], [0, 0, 10, 10, 0.7]])
    assert intersections(first, second) == pytest.approx(np.array([[50, 0, 100]]))
    assert box_overlaps(first, second) == pytest.approx(np.array([[1 / 3, 0, 1]]))
    assert areas(second) == pytest.approx([100, 100, 100])


def test_boxes_without_area_overlap_nothing():
    flat = np.array([[5.0, 5, 5, 5]])
    assert box_overlaps(flat, flat)[0, 0] == 0
