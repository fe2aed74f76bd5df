from __future__ import annotations

import pytest
import torch

from edgepose.models import (
    MobileNetV2Classifier,
    ResNet,
    build_network,
    load_backbone_weights,
    load_published_weights,
)
from edgepose_runtime.errors import CheckpointError


@pytest.fixture(scope="module")
def published():
    """A ResNet-18 file as torchvision and trainers around it write it."""
    torch.manual_seed(1)
    return ResNet(18).state_dict()


def test_a_classifiers_layers_are_reported(published):
    backbone = ResNet(18)
    report = load_backbone_weights(backbone, {**published, "fc.bias": torch.zeros(1000)})
    assert report.missing == ()
    assert report.unexpected == ("fc.bias",)
    assert torch.equal(backbone.conv1.weight, published["conv1.weight"])


@pytest.mark.parametrize("wrapper", ["module.", "backbone.", "module.backbone."])
def test_wrappers_names_are_dropped(published, wrapper):
    wrapped = {wrapper + name: value for name, value in published.items()}
    report = load_backbone_weights(ResNet(18), wrapped)
    assert report.missing == report.unexpected == ()


def test_missing_layers_are_reported_but_not_old_files_missing_counters(published):
    kept = {n: v for n, v in published.items() if "num_batches" not in n and n != "bn1.bias"}
    assert load_backbone_weights(ResNet(18), kept).missing == ("bn1.bias",)


def test_weights_of_another_network_are_refused(published):
    with pytest.raises(CheckpointError, match="None of the 1 weights"):
        load_backbone_weights(ResNet(18), {"features.0.0.weight": torch.zeros(1)})
    with pytest.raises(CheckpointError, match=r"'conv1.weight' has the shape \(1,\)"):
        load_backbone_weights(ResNet(18), {**published, "conv1.weight": torch.zeros(1)})


def test_files_of_simple_baselines_are_taken_apart(published):
    network = build_network({"backbone": "resnet18", "head": "deconv", "stages": 2}, 16)
    head = {"final_layer.weight": torch.ones(16, 256, 1, 1), "final_layer.bias": torch.ones(16)}
    file = {f"module.{name}": value for name, value in {**published, **head}.items()}
    report = load_published_weights(network, file)
    assert report.unexpected == ()
    assert all(name.startswith("head.deconv_layers.") for name in report.missing)
    assert torch.equal(network.head.final_layer.bias, torch.ones(16))
    assert torch.equal(network.backbone.conv1.weight, published["conv1.weight"])


def test_a_published_head_of_other_joints_is_refused(published):
    network = build_network({"backbone": "resnet18", "head": "deconv", "stages": 2}, 13)
    with pytest.raises(CheckpointError, match=r"final_layer.bias' has the shape \(16,\)"):
        load_published_weights(network, {**published, "final_layer.bias": torch.ones(16)})


def test_the_published_mobilenet_loads_strictly(data_root):
    path = data_root.parent / "weights" / "mobilenet_v2-b0353104.pth"
    if not path.is_file():
        pytest.skip(f"{path} is missing; download it from PyTorch's model zoo.")
    MobileNetV2Classifier().load_state_dict(torch.load(path, weights_only=True))
