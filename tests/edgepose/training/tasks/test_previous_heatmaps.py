import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgepose.datasets.sampling.targets import TargetSettings
from edgepose.training.tasks.previous_heatmaps import realign
from edgepose_runtime.geometry.roi import Roi, roi_transform
from edgepose_runtime.heatmaps.decoding import realign_heatmaps

CELLS, STRIDE = 16, 4
places = st.floats(-40, 40)
sides = st.floats(30, 200)


def matrix(roi):
    return torch.from_numpy(roi_transform(roi, CELLS * STRIDE))[None]


@given(places, places, sides, places, places, sides, st.sampled_from([0.0, 1.5]))
def test_maps_are_realigned_as_at_run_time(x1, y1, side1, x2, y2, side2, offset):
    before, after = Roi(x1, y1, side1, side1), Roi(x2, y2, side2, side2)
    maps = np.random.default_rng(0).random((3, CELLS, CELLS), np.float32)
    expected = realign_heatmaps(maps, before, after, stride=STRIDE, offset=offset)
    settings = TargetSettings(stride=STRIDE, offset=offset)
    found = realign(torch.from_numpy(maps)[None], matrix(before), matrix(after), settings)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-4)


def test_gradients_flow_to_the_previous_maps():
    maps = torch.rand(1, 2, CELLS, CELLS, requires_grad=True)
    moved = realign(
        maps, matrix(Roi(0, 0, 64, 64)), matrix(Roi(3, 1, 60, 60)), TargetSettings(stride=STRIDE)
    )
    moved.sum().backward()
    assert maps.grad is not None
    assert (maps.grad[:, :, 4:-4, 4:-4] > 0).all()


def test_every_sample_has_its_own_crops():
    maps = torch.rand(2, 1, CELLS, CELLS)
    still, moved = Roi(0, 0, 64, 64), Roi(4, 0, 64, 64)
    before = torch.cat([matrix(still), matrix(still)])
    after = torch.cat([matrix(still), matrix(moved)])
    found = realign(maps, before, after, TargetSettings(stride=STRIDE))
    torch.testing.assert_close(found[0], maps[0])
    torch.testing.assert_close(found[1, :, :, :-1], maps[1, :, :, 1:])
