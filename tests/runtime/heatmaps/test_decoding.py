import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi, frame_to_crop
from edgepose_runtime.heatmaps.decoding import (
    cells_to_frame,
    decode_heatmaps,
    decode_heatmaps_numpy,
    decode_to_frame,
    realign_heatmaps,
    realign_heatmaps_numpy,
)

METHODS = ["quadratic", "quarter"]
heatmaps = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9)),
    elements=st.floats(-1, 2, width=32),
)
rois = st.builds(
    Roi, st.floats(-50, 50), st.floats(-50, 50), st.floats(20, 200), st.floats(20, 200)
)


def gaussian(x, y, sigma=2.0, size=64, peak=1.0):
    rows, columns = np.mgrid[:size, :size]
    squared = (columns - x) ** 2 + (rows - y) ** 2
    return (peak * np.exp(-squared / (2 * sigma**2))).astype(np.float32)[None]


class TestDecoding:
    @pytest.mark.parametrize("method", METHODS)
    @given(maps=heatmaps)
    def test_agrees_with_its_twin(self, method, maps):
        np.testing.assert_allclose(
            decode_heatmaps(maps, method),
            decode_heatmaps_numpy(maps, method),
            atol=1e-3,
            equal_nan=True,
        )

    @given(maps=hnp.arrays(np.float32, (3, 9, 9), elements=st.floats(-1, 2, width=32)), roi=rois)
    def test_in_one_go_it_finds_the_same_place_in_the_frame(self, maps, roi):
        expected = cells_to_frame(decode_heatmaps(maps), roi, 9, 4, 0)
        np.testing.assert_array_equal(decode_to_frame(maps, roi, 4, 0), expected)

    @given(st.floats(2, 61), st.floats(2, 61), st.floats(1, 4), st.floats(0.1, 1))
    def test_finds_a_gaussian_between_cells(self, x, y, sigma, peak):
        joint = decode_heatmaps(gaussian(x, y, sigma, peak=peak))[0]
        np.testing.assert_allclose(joint[:2], [x, y], atol=0.05)
        assert 0 < joint[2] <= peak + 1e-6

    @given(st.floats(3, 60), st.floats(3, 60), st.integers(0, 2**32 - 1))
    def test_stays_near_the_peak_in_noise(self, x, y, seed):
        disturbance = np.random.default_rng(seed).normal(0, 0.01, (1, 64, 64))
        joint = decode_heatmaps((gaussian(x, y) + disturbance).astype(np.float32))[0]
        np.testing.assert_allclose(joint[:2], [x, y], atol=1)

    @given(st.floats(4, 59), st.floats(4, 59))
    def test_a_quarter_of_a_cell_is_at_most_that_far_off(self, x, y):
        joint = decode_heatmaps(gaussian(x, y), "quarter")[0]
        np.testing.assert_allclose(joint[:2], [x, y], atol=0.26)

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("cell", [(0, 0), (63, 63), (0, 30), (30, 63)])
    def test_a_peak_at_the_border_stays_in_its_cell(self, method, cell):
        joint = decode_heatmaps(gaussian(*cell), method)[0]
        np.testing.assert_allclose(joint, [*cell, 1], atol=1e-6)

    @pytest.mark.parametrize("method", METHODS)
    def test_a_plateau_is_not_left(self, method):
        maps = np.zeros((1, 8, 8), np.float32)
        maps[0, 3:6, 3:6] = 0.5
        x, y, score = decode_heatmaps(maps, method)[0]
        assert 3 <= x <= 5
        assert 3 <= y <= 5
        assert score == 0.5

    def test_a_lone_cell_is_found_where_it_is(self):
        maps = np.full((1, 8, 8), -0.1, np.float32)
        maps[0, 5, 2] = 0.7
        np.testing.assert_allclose(decode_heatmaps(maps)[0], [2, 5, 0.7])

    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("value", [0, -1, np.nan])
    def test_a_map_without_a_peak_is_a_missing_joint(self, method, value):
        joints = decode_heatmaps(np.full((2, 8, 8), value, np.float32), method)
        np.testing.assert_array_equal(joints, [[np.nan, np.nan, 0]] * 2)

    def test_the_score_is_never_above_one(self):
        assert decode_heatmaps(gaussian(20, 30, peak=1.7))[0, 2] == 1

    def test_maps_may_be_views(self):
        maps = np.concatenate([gaussian(20.3, 30.6), gaussian(10, 40)])
        np.testing.assert_array_equal(
            decode_heatmaps(maps.transpose(0, 2, 1)),
            decode_heatmaps(np.ascontiguousarray(maps.transpose(0, 2, 1))),
        )

    def test_an_unknown_refinement_is_refused(self):
        with pytest.raises(ConfigError, match=r"'cubic' is unknown; use 'quadratic' or 'quarter'"):
            decode_heatmaps(gaussian(1, 1), "cubic")

    @pytest.mark.parametrize("shape", [(64, 64), (1, 0, 64), (1, 1, 64, 64)])
    def test_maps_of_a_wrong_shape_are_refused(self, shape):
        with pytest.raises(ConfigError, match=r"must have shape \(K, h, w\)"):
            decode_heatmaps(np.zeros(shape, np.float32))


@given(st.floats(3, 60), st.floats(3, 60), rois, st.sampled_from([(4.0, 1.5), (4.0, 0.0)]))
def test_cells_map_to_the_frame_through_the_crop(x, y, roi, geometry):
    stride, offset = geometry
    joints = np.array([[x, y, 0.5]], np.float32)
    located = cells_to_frame(joints, roi, 64, stride, offset)
    crop_pixels = frame_to_crop(located[:, :2], roi, 256)
    np.testing.assert_allclose(crop_pixels, [[x * stride + offset, y * stride + offset]], atol=0.05)
    assert located[0, 2] == 0.5


def test_a_missing_joint_stays_missing():
    located = cells_to_frame(np.array([[np.nan, np.nan, 0]], np.float32), Roi(0, 0, 9, 9), 64)
    np.testing.assert_array_equal(located, [[np.nan, np.nan, 0]])


class TestRealignment:
    @given(heatmaps, rois, rois)
    def test_agrees_with_its_twin(self, maps, source, target):
        np.testing.assert_allclose(
            realign_heatmaps(maps, source, target),
            realign_heatmaps_numpy(maps, source, target),
            atol=1e-4,
        )

    @given(heatmaps, rois)
    def test_into_the_same_region_changes_nothing(self, maps, roi):
        np.testing.assert_array_equal(realign_heatmaps(maps, roi, roi), maps)

    @pytest.mark.parametrize("offset", [1.5, 0.0])
    @given(shift=st.tuples(st.floats(-30, 30), st.floats(-30, 30)), zoom=st.floats(0.8, 1.25))
    def test_a_joint_keeps_its_place_in_the_frame(self, offset, shift, zoom):
        source = Roi(100, 80, 200, 200)
        target = Roi(100 + shift[0], 80 + shift[1], 200 * zoom, 200 * zoom)
        realigned = realign_heatmaps(gaussian(31, 33), source, target, offset=offset)
        before = cells_to_frame(decode_heatmaps(gaussian(31, 33)), source, 64, offset=offset)
        after = cells_to_frame(decode_heatmaps(realigned), target, 64, offset=offset)
        # A fifth of a cell, which is 200 / 64 pixels: what is lost is the fit, not the place.
        np.testing.assert_allclose(after[0, :2], before[0, :2], atol=0.6)

    @pytest.mark.parametrize("axis", [0, 1])
    @pytest.mark.parametrize("offset", [1.5, 0.0])
    def test_a_cell_shows_what_was_at_its_place_in_the_frame(self, axis, offset):
        """On maps that say where each cell lies in the frame, in pixels."""
        source, target = Roi(100, 80, 256, 256), Roi(120, 90, 128, 128)
        cells = np.arange(64, dtype=np.float32)

        def places(roi):
            joints = np.stack([cells, cells, np.ones(64, np.float32)], axis=1)
            return cells_to_frame(joints, roi, 64, offset=offset)[:, axis]

        column = places(source)[:, None]
        said = np.broadcast_to(column if axis else column.T, (64, 64))
        seen = realign_heatmaps(np.ascontiguousarray(said[None]), source, target, offset=offset)[0]
        middle = seen[:, 32] if axis else seen[32]
        np.testing.assert_allclose(middle, places(target), atol=0.01)

    @given(st.floats(-20, 20), st.floats(-20, 20))
    def test_there_and_back_is_nearly_the_same(self, x, y):
        source, target = Roi(0, 0, 64, 64), Roi(x, y, 64, 64)
        maps = gaussian(31.5, 32.5)
        back = realign_heatmaps(realign_heatmaps(maps, source, target), target, source)
        np.testing.assert_allclose(back, maps, atol=0.13)

    @given(st.integers(-9, 9), st.integers(-9, 9))
    def test_two_shifts_by_whole_cells_are_one(self, x, y):
        first, middle, last = (
            Roi(0, 0, 256, 256),
            Roi(4 * x, 0, 256, 256),
            Roi(4 * x, 4 * y, 256, 256),
        )
        maps = gaussian(31, 33)
        twice = realign_heatmaps(realign_heatmaps(maps, first, middle), middle, last)
        np.testing.assert_array_equal(twice, realign_heatmaps(maps, first, last))

    def test_a_shift_by_whole_cells_moves_the_maps_and_fills_with_zeros(self):
        maps = np.random.default_rng(0).random((2, 64, 64), np.float32)
        moved = realign_heatmaps(maps, Roi(0, 0, 256, 256), Roi(8, -4, 256, 256))
        np.testing.assert_array_equal(moved[:, 1:, :-2], maps[:, :-1, 2:])
        assert (moved[:, 0] == 0).all()
        assert (moved[:, :, -2:] == 0).all()

    def test_regions_apart_share_nothing(self):
        maps = np.ones((1, 8, 8), np.float32)
        assert (realign_heatmaps(maps, Roi(0, 0, 10, 10), Roi(1e9, 0, 10, 10)) == 0).all()

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_joint_that_is_no_number_leaves_the_others_alone(self, value):
        maps = np.random.default_rng(0).random((3, 16, 16), np.float32)
        source, target = Roi(0, 0, 64, 64), Roi(5, -3, 80, 80)
        expected = realign_heatmaps(maps, source, target)
        maps[1] = value
        found = realign_heatmaps(maps, source, target)
        np.testing.assert_array_equal(found[::2], expected[::2])

    def test_writes_into_the_buffer_that_it_is_given(self):
        maps, source, target = gaussian(20, 20), Roi(0, 0, 64, 64), Roi(3, 2, 70, 70)
        out = np.empty_like(maps)
        assert realign_heatmaps(maps, source, target, out=out) is out
        np.testing.assert_array_equal(out, realign_heatmaps(maps, source, target))

    @pytest.mark.parametrize(
        "out", [np.empty((1, 64, 63), np.float32), np.empty((1, 64, 64), np.float64)]
    )
    def test_a_buffer_that_does_not_fit_is_refused(self, out):
        with pytest.raises(ConfigError, match="buffer must be a C-contiguous float32"):
            realign_heatmaps(gaussian(1, 1), Roi(0, 0, 9, 9), Roi(0, 0, 9, 9), out=out)
