from __future__ import annotations

import pytest
import torch

from edgepose.models import (
    HRNet,
    MobileNetV2,
    MobileNetV2Classifier,
    ResNet,
    count_macs,
    count_parameters,
)
from edgepose_runtime.errors import ConfigError

META = torch.device("meta")


@pytest.fixture(autouse=True)
def on_meta():
    """Shapes, names and counts need no arithmetic."""
    with META:
        yield


def image(size=256):
    return torch.zeros(1, 3, size, size)


@pytest.mark.parametrize(
    ("depth", "gmac", "parameters"),
    [
        (18, 2.3687, 11_176_512),
        (34, 4.7847, 21_284_672),
        (50, 5.3383, 23_508_032),
        (101, 10.1869, 42_500_160),
    ],
)
def test_resnet_costs_what_torchvisions_does(depth, gmac, parameters):
    network = ResNet(depth)
    assert count_macs(network, image()) / 1e9 == pytest.approx(gmac, abs=1e-4)
    assert count_parameters(network) == parameters


@pytest.mark.parametrize(("depth", "channels"), [(18, 512), (34, 512), (50, 2048), (101, 2048)])
def test_resnet_features_are_at_a_thirty_second_of_the_size(depth, channels):
    network = ResNet(depth)
    assert network(image(96)).shape == (1, channels, 3, 3)
    assert (network.out_channels, network.stride) == (channels, 32)


def test_resnet_is_named_as_in_torchvision():
    basic, bottleneck = ResNet(18).state_dict(), ResNet(50).state_dict()
    assert len(basic) == 122 - 2
    assert len(bottleneck) == 320 - 2
    assert basic["conv1.weight"].shape == (64, 3, 7, 7)
    assert basic["layer2.0.downsample.0.weight"].shape == (128, 64, 1, 1)
    assert "layer1.0.downsample.0.weight" not in basic
    assert bottleneck["layer1.0.downsample.1.running_mean"].shape == (256,)
    assert bottleneck["layer4.2.bn3.bias"].shape == (2048,)


def test_resnet_can_carry_its_stride_in_the_1x1_convolution():
    plain, moved = ResNet(50), ResNet(50, stride_in_1x1=True)
    block = moved.get_submodule("layer2.0")
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    assert plain.get_submodule("layer2.0").conv2.stride == (2, 2)
    assert moved(image(64)).shape == plain(image(64)).shape
    assert list(moved.state_dict()) == list(plain.state_dict())


def test_resnet_refuses_what_there_is_not():
    with pytest.raises(ConfigError, match="no ResNet of 20 layers"):
        ResNet(20)
    with pytest.raises(ConfigError, match="ResNet-18 has no 1x1"):
        ResNet(18, stride_in_1x1=True)


def test_mobilenet_costs_what_torchvisions_does():
    assert count_macs(MobileNetV2(), image()) / 1e9 == pytest.approx(0.3912, abs=1e-4)
    assert count_parameters(MobileNetV2Classifier()) == 3_504_872


def test_mobilenet_features_and_logits():
    assert MobileNetV2()(image(96)).shape == (1, 1280, 3, 3)
    assert MobileNetV2Classifier()(image(96)).shape == (1, 1000)


def test_mobilenet_is_named_as_in_torchvision():
    weights = MobileNetV2Classifier().state_dict()
    assert len(weights) == 314
    assert weights["features.0.0.weight"].shape == (32, 3, 3, 3)
    assert weights["features.1.conv.1.weight"].shape == (16, 32, 1, 1)
    assert weights["features.2.conv.1.0.weight"].shape == (96, 1, 3, 3)
    assert weights["features.18.1.running_var"].shape == (1280,)
    assert weights["classifier.1.bias"].shape == (1000,)


def test_hrnet_keeps_a_quarter_of_the_size():
    assert HRNet()(image(64)).shape == (1, 48, 16, 16)


def test_hrnet_is_named_as_its_authors_do():
    weights = HRNet().state_dict()
    # The authors' file has 1754 tensors, two of them of the final layer.
    assert len(weights) == 1754 - 2
    assert weights["layer1.0.downsample.0.weight"].shape == (256, 64, 1, 1)
    assert weights["transition1.0.0.weight"].shape == (48, 256, 3, 3)
    assert weights["transition1.1.0.0.weight"].shape == (96, 256, 3, 3)
    assert weights["transition2.2.0.0.weight"].shape == (192, 96, 3, 3)
    assert weights["transition3.3.0.0.weight"].shape == (384, 192, 3, 3)
    assert weights["stage2.0.branches.1.3.conv2.weight"].shape == (96, 96, 3, 3)
    assert weights["stage3.3.fuse_layers.2.0.0.0.weight"].shape == (48, 48, 3, 3)
    assert weights["stage3.3.fuse_layers.2.0.1.0.weight"].shape == (192, 48, 3, 3)
    assert weights["stage4.2.fuse_layers.0.3.1.running_var"].shape == (48,)
    assert not any(name.startswith("stage4.2.fuse_layers.1.") for name in weights)
