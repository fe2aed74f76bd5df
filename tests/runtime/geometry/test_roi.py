import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepose_runtime.errors import RoiError
from edgepose_runtime.geometry.roi import (
    Roi,
    crop_to_frame,
    frame_to_crop,
    joints_roi,
    roi_transform,
)

coordinates = st.floats(-5000, 5000)
sides = st.floats(1, 5000)
rois = st.builds(Roi, coordinates, coordinates, sides, sides)
sizes = st.integers(1, 512)
points = hnp.arrays(np.float64, st.tuples(st.integers(0, 5), st.just(2)), elements=coordinates)


@given(points, rois, sizes)
def test_points_come_back_from_the_crop(points, roi, size):
    there_and_back = crop_to_frame(frame_to_crop(points, roi, size), roi, size)
    np.testing.assert_allclose(there_and_back, points, atol=1e-6)


@given(points, rois, sizes)
def test_the_affine_matrix_says_the_same_as_the_mapping(points, roi, size):
    matrix = roi_transform(roi, size)
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(mapped, frame_to_crop(points, roi, size), rtol=1e-6, atol=1e-6)


@given(rois, sizes)
def test_the_edges_of_roi_and_crop_coincide(roi, size):
    edges = crop_to_frame([[-0.5, -0.5], [size - 0.5, size - 0.5]], roi, size)
    expected = [
        [roi.x - 0.5, roi.y - 0.5],
        [roi.x - 0.5 + roi.width, roi.y - 0.5 + roi.height],
    ]
    np.testing.assert_allclose(edges, expected, atol=1e-6)


def test_a_roi_of_the_crops_size_only_shifts():
    np.testing.assert_allclose(crop_to_frame([[0, 0]], Roi(7, 9, 64, 64), 64), [[7, 9]])


def test_mapping_keeps_the_floating_type_and_nan():
    mapped = crop_to_frame(np.array([[np.nan, 1]], np.float32), Roi(0, 0, 10, 10), 5)
    assert mapped.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(mapped), [[True, False]])


@given(rois, st.floats(0.5, 3))
def test_squaring_keeps_the_centre_and_scales_the_longer_side(roi, factor):
    square = roi.squared(factor)
    np.testing.assert_allclose(square.center, roi.center, atol=1e-6)
    np.testing.assert_allclose(
        [square.width, square.height], factor * max(roi.width, roi.height), rtol=1e-9
    )


@given(rois, st.floats(0, 1))
def test_enlarging_adds_the_same_on_every_side(roi, margin):
    growth = margin * max(roi.width, roi.height)
    x, y, width, height = roi.enlarged(margin)
    expected = [roi.x - growth, roi.y - growth, roi.width + 2 * growth, roi.height + 2 * growth]
    np.testing.assert_allclose([x, y, width, height], expected, atol=1e-6)


def test_the_whole_frame_has_its_centre_between_the_middle_pixels():
    assert Roi(0, 0, 640, 480).center == (319.5, 239.5)


def test_from_points_reaches_from_the_outermost_to_each_other_and_skips_nan():
    roi = Roi.from_points([[10, 20], [30, 25], [np.nan, 0]])
    assert roi == Roi(10.5, 20.5, 20, 5)
    assert roi.center == (20, 22.5)


def test_from_points_needs_a_finite_point():
    with pytest.raises(RoiError, match="none of which is finite"):
        Roi.from_points([[np.nan, 1]])


@pytest.mark.parametrize(
    ("roi", "complaint"),
    [
        (Roi(float("nan"), 0, 10, 10), "not finite"),
        (Roi(0, 0, float("inf"), 10), "not finite"),
        (Roi(0, 0, 0, 10), "no area"),
        (Roi(0, 0, 10, -1), "no area"),
        (Roi(100, 0, 10, 10), "outside the frame of 100x50 pixels"),
        (Roi(0, 50, 10, 10), "outside the frame"),
        (Roi(-10, 0, 10, 10), "outside the frame"),
    ],
)
def test_an_unusable_roi_is_refused_by_name(roi, complaint):
    with pytest.raises(RoiError, match=complaint):
        roi.validated(100, 50)


@pytest.mark.parametrize("roi", [Roi(-9, -9, 10, 10), Roi(99, 49, 10, 10), Roi(-5, -5, 500, 500)])
def test_a_roi_that_overlaps_the_frame_is_taken(roi):
    assert roi.validated(100, 50) is roi


@given(rois, st.floats(0, 1), st.floats(0, 1))
def test_a_roi_contains_what_lies_between_its_edges(roi, across, down):
    inside = Roi(roi.x, roi.y, roi.width * 1.0001, roi.height * 1.0001)
    assert inside.contains((roi.x - 0.5 + across * roi.width, roi.y - 0.5 + down * roi.height))
    assert not roi.contains((roi.x - 0.6, roi.center[1]))
    assert not roi.contains((roi.center[0], roi.y + roi.height))


class TestJointsRoi:
    def test_is_the_box_enlarged_then_squared(self):
        roi = joints_roi([[100, 100], [140, 300]], (1000, 1000))
        assert roi.center == (120, 200)
        assert roi.width == roi.height == pytest.approx(200 * 1.2 * 1.25)

    def test_leaves_out_joints_outside_the_frame_and_missing_ones(self):
        inside = [[10, 10], [90, 50]]
        outside = [[-1, 20], [50, 200], [np.nan, np.nan]]
        assert joints_roi([*inside, *outside], (100, 100)) == joints_roi(inside, (100, 100))

    @pytest.mark.parametrize("points", [[[5, 5]], [[5, 5], [5, 5]], [[-9, 1], [-8, 2]], []])
    def test_is_none_without_two_distinct_joints_in_the_frame(self, points):
        assert joints_roi(np.reshape(points, (-1, 2)), (100, 100)) is None
