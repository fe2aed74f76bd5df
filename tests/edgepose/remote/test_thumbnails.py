import cv2
import numpy as np

from edgepose.remote.thumbnails import SIDE, follow_points, take_thumbnail
from edgepose_runtime.geometry.roi import Roi


def textured(seed=0, shape=(240, 320)):
    noise = np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 3)


def shifted(image, dx, dy):
    affine = np.array([[1, 0, dx], [0, 1, dy]], np.float64)
    return cv2.warpAffine(image, affine, image.shape[1::-1], borderMode=cv2.BORDER_REFLECT)


POINTS = np.array([[130, 100], [170, 120], [150, 160]], np.float32)


def test_joints_are_followed_with_the_picture_also_into_another_region():
    image = textured()
    before = take_thumbnail(image, Roi(80, 40, 160, 160))
    now = take_thumbnail(shifted(image, 5, -3), Roi(86, 34, 170, 170))
    assert before.grey.shape == (SIDE, SIDE)
    moved, found = follow_points(POINTS, before, now)
    assert found.all()
    np.testing.assert_allclose(moved, [[5, -3]] * 3, atol=0.5)


def test_joints_that_are_not_there_move_along_with_the_others():
    image = textured()
    before = take_thumbnail(image, Roi(80, 40, 160, 160))
    now = take_thumbnail(shifted(image, 4, 2), Roi(80, 40, 160, 160))
    points = POINTS.copy()
    points[1] = np.nan
    moved, found = follow_points(points, before, now)
    assert found.tolist() == [True, False, True]
    np.testing.assert_allclose(moved, [[4, 2]] * 3, atol=0.5)


def test_without_any_joint_nothing_moves():
    picture = take_thumbnail(textured(), Roi(80, 40, 160, 160))
    moved, found = follow_points(np.full((3, 2), np.nan, np.float32), picture, picture)
    assert not found.any()
    assert not moved.any()
