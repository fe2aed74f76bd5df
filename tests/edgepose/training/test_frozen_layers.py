import pytest
import torch

from edgepose.models.pose.network import LIGHT_PYRAMID, build_network
from edgepose.training.config.loader import parse_config
from edgepose.training.frozen_layers import compile_frozen_layers
from edgepose.training.tasks.stages import ImageTask
from edgepose_runtime.errors import ConfigError

SIZE = 64
FROZEN = [f"backbone.features.{layer}" for layer in range(4)]


def test_the_runtime_computes_the_same_first_layers():
    network = build_network(LIGHT_PYRAMID, 13).eval()
    image = torch.randn(2, 3, SIZE, SIZE)
    with torch.no_grad():
        expected = network(image)
        compile_frozen_layers(network.backbone, 4, SIZE)
        found = network(image)
    # OpenVINO may compute in bfloat16.
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.02)


def test_the_other_layers_learn(recipe):
    config = recipe(
        network={"backbone": "mobilenet_v2", "head": "pyramid"}, frozen=FROZEN, runtime_layers=4
    )
    task = ImageTask(config, build_network(LIGHT_PYRAMID, 13))
    batch = {
        "image": torch.randint(0, 256, (2, SIZE, SIZE, 3), dtype=torch.uint8),
        "keypoints": torch.tensor([20.0, 30.0, 1.0]).expand(2, 13, 3),
    }
    task.loss(batch)["loss"].backward()
    layers = task.module.backbone.features
    assert layers[4].conv[0][0].weight.grad is not None
    assert layers[3].conv[0][0].weight.grad is None


def test_layers_that_the_runtime_computes_must_be_frozen():
    values = {
        "name": "tiny",
        "phases": [{"steps": 1, "size": 64, "batch": 1}],
        "sources": [{"kind": "people"}],
        "network": {"backbone": "mobilenet_v2"},
        "frozen": FROZEN[:2],
        "runtime_layers": 3,
    }
    with pytest.raises(ConfigError, match=r"backbone\.features\.2"):
        parse_config(values)
