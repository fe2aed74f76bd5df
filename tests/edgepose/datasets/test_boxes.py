import numpy as np
import pytest

from edgepose.datasets.boxes import corners_box, joints_box
from edgepose_runtime.geometry.roi import Roi, joints_roi


def test_a_box_around_joints_is_the_runtimes():
    keypoints = np.array([[10, 20, 1], [50, 100, 0.5], [300, 300, 0]], np.float32)
    expected = joints_roi(keypoints[:2, :2], (400, 400))
    assert joints_box(keypoints).squared().as_tuple() == pytest.approx(expected.as_tuple())


def test_one_joint_makes_no_box():
    keypoints = np.array([[10, 20, 1], [50, 100, 0]], np.float32)
    assert joints_box(keypoints) is None


def test_corners_are_the_outermost_pixels():
    assert corners_box(np.array([1.0, 2, 31, 42])) == Roi(1.5, 2.5, 30, 40)


@pytest.mark.parametrize("corners", [None, [1, 2, np.nan, 4], [5, 2, 5, 4], [5, 2, 1, 4]])
def test_a_box_that_says_nothing_is_none(corners):
    assert corners_box(None if corners is None else np.array(corners, np.float32)) is None
