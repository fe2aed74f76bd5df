import pytest
import torch

from edgepose.models.pose.coordinate_head import (
    SCORE_POWER,
    VIEW,
    CoordinateHead,
    CurveProduct,
    Grid,
)
from edgepose.models.pose.network import RTMPOSE, NetworkConfig, build_network
from edgepose.models.pose.rtmpose import DEVIATIONS, IMAGE_SIZE
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView

SIZE = 192
MIDDLE = torch.tensor([(side - 1) / 2 for side in IMAGE_SIZE])
CELLS = torch.arange(48.0) * 4 + 1.5


def curve_product(places, scores, view, mix=None, score_power=SCORE_POWER):
    """The last layer with its curves given: Gaussians at places of the image."""
    layer = CurveProduct(len(places) if mix is None else len(mix), view, Grid(), score_power)
    layer.mix = torch.eye(len(places)) if mix is None else mix
    curves = []
    for axis, (pixels, deviation) in enumerate(zip(IMAGE_SIZE, DEVIATIONS, strict=True)):
        bins = torch.arange(2 * pixels) / 2
        distance = (bins - places[:, axis, None]) / deviation
        curves.append(scores[:, None] * torch.exp(-0.5 * distance**2)[None])
    layer.cls_x, layer.cls_y = (torch.nn.Identity() for _ in range(2))
    layer.cls_x.forward = lambda _: curves[0]
    layer.cls_y.forward = lambda _: curves[1]
    return layer(torch.empty(0))[0]


@pytest.mark.parametrize("view", [VIEW, InputView(192, 256, (0.75, 1.0))])
def test_joints_come_out_where_the_view_shows_them(view):
    region = torch.tensor([[95.5, 95.5], [60.2, 30.7], [120.0, 150.3]])
    zoom = torch.tensor(IMAGE_SIZE) / (SIZE * torch.tensor(view.window))
    scores = torch.tensor([0.9, 0.4, 0.8])
    maps = curve_product((region - (SIZE - 1) / 2) * zoom + MIDDLE, scores, view)
    assert maps.shape == (3, 48, 48)
    mass = maps.sum((1, 2))
    found = torch.stack([maps.sum(1) @ CELLS / mass, maps.sum(2) @ CELLS / mass], 1)
    torch.testing.assert_close(found, region, atol=0.1, rtol=0)
    assert maps.amax((1, 2)).numpy() == pytest.approx(scores.sqrt().numpy(), rel=1e-2)


def test_maps_are_as_wide_as_those_of_our_networks():
    maps = curve_product(MIDDLE[None], torch.ones(1), InputView(192, 256, (0.75, 1.0)))[0]
    along = maps.sum(0) / maps.sum()
    assert ((along * (CELLS - 95.5) ** 2).sum() ** 0.5).item() == pytest.approx(6.0, rel=0.05)


def test_peaks_are_the_asked_power_of_the_score():
    view, score = InputView(192, 256, (1.0, 256 / 192)), torch.tensor([0.125])
    maps = curve_product(MIDDLE[None], score, view, score_power=1 / 3)
    assert maps.amax().item() == pytest.approx(0.5, rel=2e-2)


def test_what_makes_up_a_joint_is_averaged():
    places = MIDDLE + torch.tensor([[-4.0, 0.0], [4.0, 0.0]])
    view = InputView(192, 256, (1.0, 256 / 192))  # a pixel of the image is one of the region
    maps = curve_product(places, torch.ones(2), view, mix=torch.tensor([[0.5, 0.5]]))[0]
    assert ((maps.sum(0) @ CELLS) / maps.sum()).item() == pytest.approx(95.5, abs=0.1)


def test_cells_may_lie_in_any_grid():
    head = CoordinateHead(512, 13, VIEW, Grid(64, 16, 4.0, 1.5))
    vectors = head.features(torch.rand(2, 512, 8, 6))
    assert vectors.shape == (2, 26, 256)
    assert head.final_layer(vectors).shape == (2, 13, 16, 16)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(RTMPOSE, 13).eval()


def test_the_network_has_the_stride_of_its_heatmaps_on_a_region_of_192_pixels(network):
    assert (network.stride, network.view) == (4, VIEW)


def test_square_regions_and_what_is_seen_of_them_are_both_taken(network):
    square = torch.rand(1, 3, SIZE, SIZE)
    noticed = []
    hook = network.backbone.register_forward_pre_hook(lambda _, given: noticed.append(given[0]))
    with torch.no_grad():
        from_square = network(square)
        from_view = network(noticed[0])
    hook.remove()
    assert noticed[0].shape == (1, 3, 256, 192)
    torch.testing.assert_close(from_view, from_square)


@pytest.mark.parametrize(
    ("backbone", "head"), [("mobilenet_v2", "simcc"), ("cspnext_s", "duc"), ("resnet18", "simcc")]
)
def test_simcc_and_cspnext_belong_together(backbone, head):
    with pytest.raises(ConfigError, match="belong together"):
        NetworkConfig(backbone, head)


@pytest.mark.parametrize(("stages", "stride", "cells"), [(3, 4, 64), (2, 8, 32)])
def test_a_network_gives_heatmaps_of_the_region_and_stride_that_are_asked_for(
    stages, stride, cells
):
    config = {"backbone": "cspnext_s", "head": "simcc", "stages": stages, "region": 256}
    with torch.device("meta"):
        network = build_network(config, 13)
        maps = network(torch.empty(1, 3, 256, 192))
    assert (network.stride, maps.shape) == (stride, (1, 13, cells, cells))


@pytest.mark.parametrize("options", [{"stages": 1}, {"region": 200}])
def test_a_grid_that_does_not_fit_is_refused(options):
    with pytest.raises(ConfigError, match="2 or 3 stages and a region that is a multiple of 32"):
        build_network({"backbone": "cspnext_s", "head": "simcc", **options}, 13)
