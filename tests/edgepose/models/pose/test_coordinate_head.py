import pytest
import torch
from torch import nn

from edgepose.models.pose.coordinate_head import CELLS, VIEW, CoordinateHead, OuterProduct
from edgepose.models.pose.network import RTMPOSE_INT8, NetworkConfig, build_network
from edgepose_runtime.errors import ConfigError


def test_heatmaps_are_the_products_of_what_is_positive_of_rows_and_columns():
    layer = OuterProduct(2, 3)
    layer.columns.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    layer.rows.weight.data = torch.tensor([[0.5, 0.0], [2.0, 0.0], [0.0, -1.0]])
    maps = layer(torch.tensor([[[1.0, 3.0]]]))
    assert maps.tolist() == [[[[0.5, 1.5, 0.0], [2.0, 6.0, 0.0], [0.0, 0.0, 0.0]]]]


def test_each_joint_has_a_map_of_48_cells_a_side():
    head = CoordinateHead(512, 13)
    vectors = head.features(torch.rand(2, 512, 8, 6))
    assert head.final_layer(vectors).shape == (2, 13, CELLS, CELLS)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network(RTMPOSE_INT8, 13).eval()


def test_the_network_has_the_stride_of_its_heatmaps_on_a_region_of_192_pixels(network):
    assert (network.stride, network.view) == (4, VIEW)


def test_square_regions_and_what_is_seen_of_them_are_both_taken(network):
    square = torch.rand(1, 3, 192, 192)
    noticed = []
    hook = network.backbone.register_forward_pre_hook(lambda _, given: noticed.append(given[0]))
    with torch.no_grad():
        from_square = network(square)
        from_view = network(noticed[0])
    hook.remove()
    assert noticed[0].shape == (1, 3, 256, 192)
    torch.testing.assert_close(from_view, from_square)


def test_relu_stands_where_images_are_large_and_hardswish_where_they_are_small(network):
    kinds = [
        {type(each) for each in part.modules()} & {nn.ReLU, nn.Hardswish, nn.SiLU}
        for part in network.backbone.parts
    ]
    assert kinds == [{nn.ReLU}] * 3 + [{nn.Hardswish}] * 2


@pytest.mark.parametrize(
    ("backbone", "head"), [("mobilenet_v2", "simcc"), ("cspnext_s", "duc"), ("resnet18", "simcc")]
)
def test_simcc_and_cspnext_belong_together(backbone, head):
    with pytest.raises(ConfigError, match="belong together"):
        NetworkConfig(backbone, head)
