import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.crop import crop_frame, crop_frame_numpy
from edgepose_runtime.geometry.input_view import InputView
from edgepose_runtime.geometry.roi import Roi

FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
sides = st.integers(1, 70)
parts = st.floats(0.3, 1.5)


def test_the_whole_region_in_a_square_is_the_square_crop():
    roi = Roi(10, 20, 50, 50)
    np.testing.assert_array_equal(InputView(48, 48).crop(FRAME, roi), crop_frame(FRAME, roi, 48))


def test_a_window_shows_the_middle_of_the_region_and_what_is_around_it():
    assert InputView(4, 4, (0.5, 2.0)).region(Roi(10, 20, 40, 30)) == Roi(20, 5, 20, 60)


def test_columns_and_rows_are_sampled_each_at_their_own_scale():
    wide = np.zeros((40, 80, 3), np.uint8)
    wide[:, 20:40] = 200  # the second quarter of the columns
    wide[30:] = 100  # the last quarter of the rows
    crop = InputView(8, 4).crop(wide, Roi(0, 0, 80, 40))
    assert crop.shape == (4, 8, 3)
    assert crop[:3, :, 0].tolist() == [[0, 0, 200, 200, 0, 0, 0, 0]] * 3
    assert (crop[3] == 100).all()


@given(width=sides, height=sides, across=parts, along=parts)
def test_the_kernel_agrees_with_matrix_products_for_any_proportions(width, height, across, along):
    view, roi = InputView(width, height, (across, along)), Roi(13.3, -7.8, 91.0, 91.0)
    expected = crop_frame_numpy(FRAME, view.region(roi), (width, height))
    found = view.crop(FRAME, roi).astype(int)
    assert found.shape == view.shape
    assert np.abs(found - expected).max() <= 1


def test_the_background_is_what_is_seen_outside_the_frame():
    roi = Roi(-90, 0, 100, 100)
    crop = InputView(8, 8, background=(0, 0, 0)).crop(FRAME, roi)
    assert (crop[:, 0] == 0).all()
    assert crop.any()


def test_the_aspect_is_the_width_that_is_seen_in_parts_of_the_height():
    assert InputView(192, 256, (0.6, 0.8)).aspect == pytest.approx(0.75)


def test_a_buffer_of_the_transposed_shape_is_refused():
    with pytest.raises(ConfigError, match=r"\(4, 8, 3\); got uint8 of shape \(8, 4, 3\)"):
        InputView(8, 4).crop(FRAME, Roi(0, 0, 8, 8), np.empty((8, 4, 3), np.uint8))


def test_a_view_of_the_whole_region_is_the_region_itself():
    roi = Roi(3.3, 4.7, 50.1, 50.1)
    assert InputView(192, 192).region(roi) is roi
