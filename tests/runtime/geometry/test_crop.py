import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepose_runtime.errors import ConfigError, FrameError
from edgepose_runtime.geometry.crop import BACKGROUND, as_bgr, crop_frame, crop_frame_numpy
from edgepose_runtime.geometry.crop_kernels import WHOLE, area_taps
from edgepose_runtime.geometry.roi import Roi, crop_to_frame


def noise(*shape):
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class TestAsBgr:
    def test_bgr_comes_back_without_a_copy(self):
        frame = noise(4, 5, 3)
        assert as_bgr(frame) is frame

    @pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1)])
    def test_grey_is_repeated(self, shape):
        frame = noise(*shape)
        expected = np.repeat(frame.reshape(4, 5, 1), 3, axis=2)
        np.testing.assert_array_equal(as_bgr(frame), expected)

    def test_alpha_is_dropped(self):
        frame = noise(4, 5, 4)
        np.testing.assert_array_equal(as_bgr(frame), frame[..., :3])

    @pytest.mark.parametrize(
        "view", [np.s_[::2], np.s_[:, ::-1], np.s_[..., ::-1], np.s_[1:3, 1:3]]
    )
    def test_views_become_contiguous(self, view):
        frame = noise(6, 8, 3)[view]
        bgr = as_bgr(frame)
        assert bgr.flags.c_contiguous
        np.testing.assert_array_equal(bgr, frame)

    def test_one_pixel_is_a_frame(self):
        assert as_bgr(noise(1, 1)).shape == (1, 1, 3)

    @pytest.mark.parametrize(
        ("frame", "complaint"),
        [
            (None, "got NoneType"),
            ([[0, 1]], "got list"),
            (np.zeros((4, 5, 3), np.float32), r"got float32: .*\(frame \* 255\)"),
            (np.full((4, 5, 3), np.nan), "got float64"),
            (np.zeros((4, 5, 3), np.uint16), "got uint16: convert it to the range 0 to 255"),
            (np.zeros((4, 5, 2), np.uint8), r"got \(4, 5, 2\)"),
            (np.zeros((1, 4, 5, 3), np.uint8), r"got \(1, 4, 5, 3\)"),
            (np.zeros(5, np.uint8), r"got \(5,\)"),
            (np.zeros((0, 5, 3), np.uint8), "at least one pixel"),
        ],
    )
    def test_what_is_not_a_frame_is_refused_by_name(self, frame, complaint):
        with pytest.raises(FrameError, match=complaint):
            as_bgr(frame)


class TestAreaTaps:
    @given(st.floats(-3000, 3000), st.floats(0.01, 300), st.integers(1, 1300), st.integers(1, 24))
    def test_every_weight_stands_for_a_pixel_of_the_frame(self, first, scale, limit, size):
        start, weights = area_taps(first, scale, limit, size)
        assert start.min() >= 0
        assert start.max() + weights.shape[1] <= limit
        assert (np.diff(start) >= 0).all()

    @given(st.floats(0, 1), st.floats(0.01, 300), st.integers(1, 24))
    def test_weights_of_what_lies_inside_add_up_to_a_whole(self, first, scale, size):
        reach = max(scale, 1) / 2
        limit = math.ceil(first + scale * (size - 1) + 2 * reach) + 1
        _, weights = area_taps(first + reach, scale, limit, size)
        np.testing.assert_array_equal(weights.sum(1), WHOLE)


class TestCropFrame:
    @given(
        shape=st.tuples(st.integers(1, 40), st.integers(1, 130)),
        size=st.integers(1, 24),
        roi=st.builds(
            Roi, st.floats(-60, 60), st.floats(-60, 60), st.floats(0.1, 120), st.floats(0.1, 120)
        ),
    )
    def test_agrees_with_its_twin(self, shape, size, roi):
        frame = noise(*shape, 3)
        difference = np.subtract(
            crop_frame(frame, roi, size), crop_frame_numpy(frame, roi, size), dtype=np.int16
        )
        # Values midway between two bytes may round to either.
        assert np.abs(difference).max() <= 1

    @pytest.mark.parametrize("scale", [0.3, 0.9, 1.0, 2.14, 6.3, 20.0, 100.0])
    def test_is_neither_darker_nor_brighter_than_its_twin(self, scale):
        side = 20 * scale
        frame, roi = noise(round(side) + 5, round(side) + 9, 3), Roi(2.3, 1.6, side, side)
        difference = np.subtract(
            crop_frame(frame, roi, 20), crop_frame_numpy(frame, roi, 20), dtype=np.int16
        )
        assert np.abs(difference).max() <= 1
        assert abs(difference.mean()) < 0.05

    @pytest.mark.parametrize("scale", [0.3, 1.0, 2.14, 6.3, 100.0, 300.0])
    @pytest.mark.parametrize("grey", [0, 1, 127, 254, 255])
    def test_an_even_colour_stays_the_same(self, scale, grey):
        side = 5 * scale
        frame = np.full((round(side) + 5, round(side) + 9, 3), grey, np.uint8)
        crop = crop_frame(frame, Roi(2.3, 1.6, side, side), 5)
        np.testing.assert_allclose(crop, np.full_like(crop, grey), atol=int(scale > 100))

    def test_a_roi_of_the_crops_size_is_copied(self):
        frame = noise(20, 30, 3)
        np.testing.assert_array_equal(crop_frame(frame, Roi(7, 4, 8, 8), 8), frame[4:12, 7:15])

    def test_shrinking_by_a_whole_number_averages_blocks(self):
        frame = noise(12, 12, 3)
        blocks = frame.reshape(4, 3, 4, 3, 3).mean(axis=(1, 3))
        np.testing.assert_allclose(crop_frame(frame, Roi(0, 0, 12, 12), 4), blocks, atol=0.51)

    def test_outside_the_frame_is_background(self):
        crop = crop_frame(noise(8, 8, 3), Roi(-8, -8, 16, 16), 16)
        expected = np.broadcast_to(BACKGROUND, (8, 16, 3))
        np.testing.assert_array_equal(crop[:8], expected)
        np.testing.assert_array_equal(crop[:, :8].swapaxes(0, 1), expected)

    def test_the_background_may_be_another_colour(self):
        roi, color = Roi(-8.3, -7.9, 23.5, 20.1), (0, 9, 255)
        crop = crop_frame(noise(8, 8, 3), roi, 16, background=color)
        assert (crop[0] == color).all()
        expected = crop_frame_numpy(noise(8, 8, 3), roi, 16, color)
        assert np.abs(crop.astype(int) - expected).max() <= 1

    def test_a_roi_far_away_is_all_background(self):
        crop = crop_frame(noise(8, 8, 3), Roi(1e6, -1e6, 100, 100), 4)
        np.testing.assert_array_equal(crop, np.broadcast_to(BACKGROUND, (4, 4, 3)))

    def test_one_pixel_fills_the_crop_with_its_colour(self):
        frame = np.array([[[1, 2, 3]]], np.uint8)
        crop = crop_frame(frame, Roi(0.4999, 0.4999, 0.0002, 0.0002), 4)
        np.testing.assert_array_equal(crop, np.broadcast_to([1, 2, 3], (4, 4, 3)))

    @given(st.floats(-20, 60), st.floats(-20, 60), st.floats(20, 150))
    def test_pixels_land_where_the_geometry_says(self, x, y, side):
        # The frame's colours are its coordinates, so that a crop pixel tells where it came from.
        columns, rows = np.meshgrid(np.arange(200), np.arange(180))
        frame = np.stack([columns, rows, rows], axis=-1).astype(np.uint8)
        roi, size = Roi(x, y, side, side), 32
        grid = np.stack(np.meshgrid(np.arange(size), np.arange(size)), axis=-1)
        expected = crop_to_frame(grid.astype(np.float64), roi, size)
        reach = max(side / size, 1) / 2 + 0.5
        inside = ((expected > reach) & (expected < [199 - reach, 179 - reach])).all(axis=-1)
        crop = crop_frame(frame, roi, size)[..., :2]
        np.testing.assert_allclose(crop[inside], expected[inside], atol=0.52)

    def test_takes_grey_views_and_read_only_frames(self):
        frame = noise(20, 20)
        frame.flags.writeable = False
        np.testing.assert_array_equal(
            crop_frame(frame[:, ::-1], Roi(2, 3, 8, 8), 8)[..., 0], frame[3:11, ::-1][:, 2:10]
        )

    def test_writes_into_the_buffer_that_it_is_given(self):
        out = np.empty((8, 8, 3), np.uint8)
        frame, roi = noise(20, 20, 3), Roi(1, 2, 9, 9)
        assert crop_frame(frame, roi, 8, out) is out
        np.testing.assert_array_equal(out, crop_frame(frame, roi, 8))

    @pytest.mark.parametrize(
        "out",
        [
            np.empty((8, 9, 3), np.uint8),
            np.empty((8, 8, 3), np.float32),
            np.empty((8, 8, 6), np.uint8)[..., ::2],
        ],
    )
    def test_a_buffer_that_does_not_fit_is_refused(self, out):
        with pytest.raises(ConfigError, match="buffer must be a C-contiguous uint8"):
            crop_frame(noise(20, 20, 3), Roi(1, 2, 9, 9), 8, out)

    def test_what_is_not_a_frame_is_refused(self):
        with pytest.raises(FrameError):
            crop_frame(np.zeros((4, 4, 3)), Roi(0, 0, 4, 4), 8)
