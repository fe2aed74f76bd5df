from __future__ import annotations

import pytest
import torch

from edgepose.models import NetworkConfig, build_network, count_macs, count_parameters
from edgepose.models.complexity import GIMAC
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.geometry.input_view import InputView


def on_meta(config, joints=13):
    with torch.device("meta"):
        return build_network(config, joints), torch.zeros(1, 3, 256, 256)


@pytest.mark.parametrize("joints", [13, 15, 16])
@pytest.mark.parametrize(
    ("config", "stride"),
    [
        ({"backbone": "mobilenet_v2", "neck": 256}, 4),
        ({"backbone": "resnet18", "head": "duc"}, 4),
        ({"backbone": "resnet50", "head": "deconv"}, 4),
        ({"backbone": "resnet34", "head": "deconv", "stages": 2}, 8),
        ({"backbone": "mobilenet_v2", "head": "pyramid", "pad_after": True}, 4),
    ],
)
def test_heatmaps_have_the_stated_stride_and_joints(config, stride, joints):
    network, image = on_meta(config, joints)
    assert network.stride == stride
    assert network(image).shape == (1, joints, 256 // stride, 256 // stride)


@pytest.mark.parametrize(
    ("config", "published_count", "true_count"),
    [
        ({"backbone": "resnet18", "head": "deconv"}, 7.719, 3.859),
        ({"backbone": "resnet18", "head": "deconv", "neck": 512}, 7.734, 3.876),
        ({"backbone": "resnet18", "head": "duc"}, 3.053, 3.278),
        ({"backbone": "resnet18", "head": "duc", "neck": 512}, 3.069, 3.295),
        ({"backbone": "mobilenet_v2", "head": "deconv", "neck": 256}, 5.647, 1.835),
        ({"backbone": "mobilenet_v2", "head": "duc", "neck": 256}, 0.596, 0.640),
    ],
)
def test_networks_of_ppn_cost_what_was_worked_out(config, published_count, true_count):
    network, image = on_meta(config)
    as_published = count_macs(network, image, transposed="output") / GIMAC
    assert as_published == pytest.approx(published_count, abs=1e-3)
    assert count_macs(network, image) / 1e9 == pytest.approx(true_count, abs=1e-3)


@pytest.mark.parametrize(("depth", "gmac"), [(18, 2.775), (34, 5.191), (50, 6.147), (101, 10.996)])
def test_stride_8_networks_cost_what_was_worked_out(depth, gmac):
    network, image = on_meta({"backbone": f"resnet{depth}", "head": "deconv", "stages": 2})
    assert count_macs(network, image) / 1e9 == pytest.approx(gmac, abs=1e-3)


def test_hrnet_costs_what_was_worked_out():
    network, image = on_meta({"backbone": "hrnet_w48", "head": "pointwise"}, 16)
    assert count_macs(network, image) / 1e9 == pytest.approx(20.922, abs=1e-3)
    assert count_parameters(network) == 63_595_696
    assert len(network.state_dict()) == 1754
    assert network.stride == 4
    assert network(image).shape == (1, 16, 64, 64)


def test_deconvolution_layers_are_named_as_in_simple_baselines():
    network, _ = on_meta({"backbone": "resnet50", "head": "deconv"}, 16)
    weights = network.head.state_dict()
    assert weights["deconv_layers.0.weight"].shape == (2048, 256, 4, 4)
    assert weights["deconv_layers.7.running_mean"].shape == (256,)
    assert weights["final_layer.weight"].shape == (16, 256, 1, 1)


def test_a_duc_stage_halves_the_channels():
    network, _ = on_meta({"backbone": "mobilenet_v2", "neck": 256})
    shapes = {tuple(v.shape) for name, v in network.head.named_parameters() if v.dim() == 4}
    assert shapes == {
        (256, 1280, 1, 1),
        (512, 256, 3, 3),
        (256, 128, 3, 3),
        (128, 64, 3, 3),
        (13, 32, 1, 1),
    }


def test_fresh_heatmaps_are_near_zero():
    torch.manual_seed(0)
    network = build_network(NetworkConfig("mobilenet_v2", neck=256), 13).eval()
    with torch.no_grad():
        assert network(torch.randn(1, 3, 64, 64)).abs().max() < 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"backbone": "vgg"}, "no backbone 'vgg'; choose one of mobilenet_v2"),
        ({"backbone": "resnet18", "head": "dense"}, "no head 'dense'"),
        ({"backbone": "resnet18", "necks": 256}, "no network option 'necks'"),
        ({"head": "duc"}, "needs 'backbone'"),
        ({"backbone": "mobilenet_v2", "head": "pyramid", "neck": 64}, "has no neck"),
        ({"backbone": "mobilenet_v2", "stride_in_1x1": True}, "for ResNets"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ConfigError, match=message):
        build_network(options, 13)


def test_a_network_needs_a_joint():
    with pytest.raises(ConfigError, match="at least one joint; 0"):
        build_network(NetworkConfig("resnet18"), 0)


def test_a_pyramid_costs_an_eighth_of_three_duc():
    pyramid, image = on_meta({"backbone": "mobilenet_v2", "head": "pyramid"})
    duc, _ = on_meta({"backbone": "mobilenet_v2", "neck": 256})
    backbone = count_macs(duc.backbone, image)
    light, heavy = (count_macs(network, image) - backbone for network in (pyramid, duc))
    assert light == pytest.approx(heavy / 8, rel=0.05)


def test_features_at_every_stride_are_seen_by_a_pyramid():
    network = build_network({"backbone": "mobilenet_v2", "head": "pyramid"}, 13)
    levels = [
        level.detach().requires_grad_()
        for level in network.backbone.levels(torch.rand(1, 3, 64, 64))
    ]
    assert [level.shape[-1] for level in levels] == [16, 8, 4, 2]
    network.head.final_layer.weight.data.normal_()
    network.head(levels).square().sum().backward()
    assert all(level.grad.abs().sum() > 0 for level in levels)


UPRIGHT = {"backbone": "mobilenet_v2", "head": "pyramid", "image": [64, 96], "region": 80}


def upright_network():
    torch.manual_seed(0)
    network = build_network(UPRIGHT, 13).eval()
    torch.nn.init.normal_(network.head.final_layer.weight)
    return network


def test_an_upright_image_gives_the_middle_of_the_square_around_it():
    network, square = upright_network(), torch.randn(2, 3, 96, 96)
    with torch.no_grad():
        around, region = network(square), network(square[..., 16:80])
    assert network.view == InputView(64, 96, (0.8, 1.2), background=(0, 0, 0))
    assert around.shape == (2, 13, 24, 24)
    torch.testing.assert_close(region, around[..., 2:22, 2:22])


def test_an_upright_network_sees_nothing_beside_its_columns():
    network, square = upright_network(), torch.randn(1, 3, 96, 96)
    other = square.clone()
    other[..., :16] = 5
    other[..., 80:] = -5
    with torch.no_grad():
        maps = network(square)
        torch.testing.assert_close(network(other), maps)
    assert not maps[..., :4].any()
    assert not maps[..., -4:].any()
    assert maps[..., 4:20].all()


@pytest.mark.parametrize(
    "change",
    [
        {"image": [80, 96]},
        {"image": [96, 64]},
        {"image": [64, 128], "region": 76},
        {"image": [96, 96]},
        {"image": [32, 128]},
        {"head": "duc"},
    ],
)
def test_upright_images_that_do_not_fit_are_refused(change):
    with pytest.raises(ConfigError, match="upright image"):
        build_network({**UPRIGHT, **change}, 13)


def test_padding_after_is_tensorflows_same():
    torch.manual_seed(0)
    network = build_network({"backbone": "mobilenet_v2", "head": "pyramid", "pad_after": True}, 13)
    plain = build_network({"backbone": "mobilenet_v2", "head": "pyramid"}, 13)
    plain.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 64, 64)
    shifted = torch.nn.functional.pad(image, (1, 0, 1, 0))[..., :64, :64]
    # What the first convolution sees around a pixel lies one further to the right and below.
    ours = network.backbone.features[0][0](image)
    assert torch.allclose(ours[..., :-1, :-1], plain.backbone.features[0][0](shifted)[..., 1:, 1:])


@pytest.mark.parametrize(
    "config",
    [
        {"backbone": "resnet18", "head": "pyramid"},
        {"backbone": "resnet18", "head": "duc", "pad_after": True},
        {"backbone": "mobilenet_v2", "head": "pyramid", "neck": 64},
        {"backbone": "mobilenet_v2", "head": "pyramid", "stages": 2},
    ],
)
def test_what_a_pyramid_cannot_be_is_refused(config):
    with pytest.raises(ConfigError, match=r"pyramid|pad_after"):
        build_network(config, 13)
