"""Flow, and heat-maps carried along it."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.heatmaps.decoding import realign_heatmaps
from edgepose_runtime.thin_slicing.optical_flow import consistent, optical_flow
from edgepose_runtime.thin_slicing.warping import sampling_grid, warp_heatmaps, warp_heatmaps_numpy

ROI = Roi(0, 0, 128, 128)


@pytest.fixture
def maps():
    return np.random.default_rng(0).random((3, 16, 16), np.float32)


def still(size=32):
    return np.zeros((size, size, 2), np.float32)


def test_no_flow_changes_nothing(maps):
    grid = sampling_grid(still(), ROI, ROI, 16, stride=8, offset=3.5)
    np.testing.assert_allclose(warp_heatmaps(maps, grid), maps, atol=1e-6)


def test_a_known_shift_is_undone(maps):
    flow = still() + np.float32([4, -2])  # pixels of a 32-pixel crop: 2 cells, -1 cell
    warped = warp_heatmaps(maps, sampling_grid(flow, ROI, ROI, 16))
    np.testing.assert_allclose(warped[:, 1:, :-2], maps[:, :-1, 2:], atol=1e-5)
    assert (warped[:, 0] == 0).all()
    assert (warped[:, :, -2:] == 0).all()


def test_without_flow_regions_are_realigned(maps):
    there = Roi(20, -10, 100, 100)
    wanted = realign_heatmaps(maps, there, ROI, stride=8, offset=3.5)
    grid = sampling_grid(still(), ROI, there, 16, stride=8, offset=3.5)
    np.testing.assert_allclose(warp_heatmaps(maps, grid), wanted, atol=1e-5)


def test_the_kernel_equals_its_twin(maps):
    grid = np.random.default_rng(1).uniform(-3, 19, (16, 16, 2)).astype(np.float32)
    grid[3, 4] = np.nan
    for outside in (0.0, 0.3):
        twin = warp_heatmaps_numpy(maps, grid, outside)
        np.testing.assert_allclose(warp_heatmaps(maps, grid, outside), twin, atol=1e-5)


def test_cells_without_trusted_flow_come_from_nowhere():
    trusted = np.ones((32, 32), bool)
    trusted[:8] = False
    grid = sampling_grid(still(), ROI, ROI, 16, trusted=trusted)
    assert np.isnan(grid[:4]).all()
    assert np.isfinite(grid[4:]).all()


@pytest.mark.parametrize("name", ["dis", "farneback"])
def test_flow_finds_a_shift(name):
    noise = np.random.default_rng(0).integers(0, 256, (140, 140)).astype(np.uint8)
    picture = cv2.GaussianBlur(noise, (0, 0), 3)
    flow = optical_flow(name)(picture[4:132, 4:132], picture[6:134, 1:129])
    middle = flow[32:96, 32:96].reshape(-1, 2)
    np.testing.assert_allclose(np.median(middle, axis=0), [3, -2], atol=0.6)


def test_flow_that_does_not_come_back_is_not_trusted():
    there, back = still(16) + np.float32([3, 0]), still(16) - np.float32([3, 0])
    assert consistent(there, back).all()
    back[:, 8:] = 5
    agreed = consistent(there, back)
    assert agreed[:, :4].all()
    assert not agreed[:, 6:].any()


def test_wrong_shapes_and_names_are_refused(maps):
    with pytest.raises(ConfigError):
        sampling_grid(np.zeros((4, 5, 2), np.float32), ROI, ROI, 16)
    with pytest.raises(ConfigError):
        warp_heatmaps(maps, np.zeros((4, 4, 2), np.float32))
    with pytest.raises(ConfigError, match="dis, farneback, none"):
        optical_flow("raft")
