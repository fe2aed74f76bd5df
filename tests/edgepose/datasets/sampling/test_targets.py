import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from edgepose.datasets.sampling.targets import TargetSettings, render_targets
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.heatmaps.decoding import decode_heatmaps_numpy

SIZE = 256
OURS = TargetSettings()
HRNET = TargetSettings(offset=0.0, subpixel=False)


def render(x, y, weight=1.0, settings=OURS, size=SIZE):
    targets, weights = render_targets(torch.tensor([[x, y, weight]]), size, settings)
    return targets[0], weights[0].item()


def peak(heatmap):
    row, column = divmod(heatmap.argmax().item(), heatmap.shape[1])
    return column, row


@given(x=st.floats(20, 235), y=st.floats(20, 235))
def test_the_sub_pixel_peak_decodes_to_the_joint(x, y):
    heatmap, _ = render(x, y)
    cell = decode_heatmaps_numpy(heatmap[None].numpy())[0]
    assert cell[:2] * 4 + 1.5 == pytest.approx([x, y], abs=0.1)


@given(x=st.floats(0, 253.9), y=st.floats(0, 253.9))
def test_the_rounded_peak_is_one_in_hrnets_cell(x, y):
    heatmap, _ = render(x, y, settings=HRNET)
    assert peak(heatmap) == (int(x / 4 + 0.5), int(y / 4 + 0.5))
    assert heatmap.max() == 1


def test_the_deviation_is_two_cells_and_the_tail_is_cut_at_three_deviations():
    heatmap, _ = render(128.0, 128.0, settings=HRNET)
    row = heatmap[32]
    assert row[34].item() == pytest.approx(torch.exp(torch.tensor(-0.5)).item())
    assert row[38] > 0
    assert row[39] == 0


@pytest.mark.parametrize(("size", "stride"), [(256, 8), (128, 4)])
def test_the_deviation_is_a_constant_share_of_the_crop(size, stride):
    assert TargetSettings(stride=stride).sigma_cells(size) == 1
    assert render(60.0, 60.0, settings=TargetSettings(stride=stride), size=size)[0].shape == (
        size // stride,
        size // stride,
    )


@pytest.mark.parametrize("place", [(-0.6, 50.0), (255.6, 50.0), (50.0, -3.0), (50.0, 1e6)])
def test_joints_outside_have_an_empty_map_and_a_weight_of_their_own(place):
    heatmap, weight = render(*place, weight=0.8)
    assert not heatmap.any()
    assert weight == pytest.approx(0.4)
    assert render(*place, settings=TargetSettings(outside_weight=0.0))[1] == 0


@pytest.mark.parametrize("place", [(-0.5, 50.0), (255.5, 255.5)])
def test_joints_on_the_edge_are_inside(place):
    heatmap, weight = render(*place)
    assert heatmap.max() > 0.5
    assert weight == 1


@pytest.mark.parametrize("place", [(50.0, 50.0), (float("nan"), 50.0)])
def test_unknown_joints_have_neither_map_nor_weight(place):
    heatmap, weight = render(*place, weight=0.0)
    assert not heatmap.any()
    assert weight == 0


def test_leading_axes_are_kept():
    keypoints = torch.full((2, 3, 13, 3), 50.0)
    targets, weights = render_targets(keypoints, 128, TargetSettings())
    assert targets.shape == (2, 3, 13, 32, 32)
    assert weights.shape == (2, 3, 13)


@pytest.mark.parametrize("options", [{"stride": 0}, {"sigma_pixels": 0.0}, {"outside_weight": -1}])
def test_unfitting_options_are_refused(options):
    with pytest.raises(ConfigError, match="Targets need"):
        TargetSettings(**options)
