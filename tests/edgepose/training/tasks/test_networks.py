import pytest
import torch

from edgepose.models import MobileNetV2, build_network
from edgepose.training.config.loader import load_config, recipe_names
from edgepose.training.tasks.networks import (
    build_module,
    convert_outputs,
    load_trained,
    network_input,
    start_from,
)
from edgepose_runtime.errors import CheckpointError, ConfigError
from edgepose_runtime.poses.skeletons import JHMDB15, MPII16, PENN13
from tests.edgepose.training.conftest import LIGHT

PPN = {"base": "ppn-swift", "body": LIGHT, "head": LIGHT}
LARGE = [{"steps": 1, "size": 192, "batch": 1}]


def test_a_head_can_be_left_out_of_a_sequence_network(recipe):
    with_head = recipe(ppn=PPN, sequence={"head": True}, phases=LARGE)
    without = recipe(ppn="ppn-swift", sequence={"head": False}, phases=LARGE)
    assert build_module(with_head).head is not None
    assert build_module(without).head is None


def test_an_unknown_network_is_a_config_error(recipe):
    with pytest.raises(ConfigError, match="resnet7"):
        build_module(recipe(network={"backbone": "resnet7"}))


@pytest.mark.parametrize("name", recipe_names())
def test_every_shipped_recipe_has_a_network_that_fits_it(name):
    with torch.device("meta"):  # without memory or time for weights
        build_module(load_config(name))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"targets": {"stride": 8}}, "stride 4"),
        ({"ppn": PPN, "sequence": {}, "targets": {"stride": 8}}, "stride 4"),
        ({"ppn": PPN, "sequence": {}}, "192 pixels"),
    ],
)
def test_networks_that_do_not_fit_the_recipe_are_refused(recipe, options, named):
    with pytest.raises(ConfigError, match=named):
        build_module(recipe(**options))


def test_a_checkpoint_becomes_its_network_again(saved):
    trained = load_trained(saved())
    assert trained.step == 5
    assert trained.config.name == "tiny"
    assert trained.training["images"] == 10
    assert not trained.module.training
    assert trained.module.head.final_layer.weight.mean() == 3.0


def test_a_part_starts_from_another_recipe(recipe, saved, tmp_path):
    saved()
    config = recipe(
        ppn=PPN,
        sequence={},
        phases=LARGE,
        start={"body": "checkpoint.pt", "head": str(tmp_path / "checkpoint.pt")},
    )
    module = build_module(config)
    start_from(module, config, tmp_path)
    assert module.body.head.final_layer.weight.mean() == 3.0
    assert module.head.head.final_layer.weight.mean() == 3.0


def test_a_backbone_starts_from_a_classifier_or_a_pose_network(recipe, saved, tmp_path):
    classifier = MobileNetV2()
    torch.save({**classifier.state_dict(), "classifier.1.bias": torch.ones(5)}, tmp_path / "c.pth")
    for name in ("c.pth", saved().name):
        config = recipe(network=LIGHT, start={"backbone": name})
        start_from(build_module(config), config, tmp_path)


def test_a_network_of_another_skeleton_gives_its_joints(recipe, saved, tmp_path):
    saved(skeleton="mpii16")
    config = recipe(network=LIGHT, start={"all": "checkpoint.pt"})
    module = build_module(config)
    start_from(module, config, tmp_path)
    assert module.head.final_layer.weight.shape[0] == 13
    assert module.head.final_layer.weight.mean().item() == pytest.approx(3.0)


def test_published_weights_are_taken_for_mpii(recipe, tmp_path):
    network = build_network({"backbone": "resnet18", "head": "deconv"}, 16)
    torch.nn.init.constant_(network.head.final_layer.bias, 2.0)
    weights = {
        name.removeprefix("backbone.").removeprefix("head."): value
        for name, value in network.state_dict().items()
    }
    torch.save(weights, tmp_path / "simple.pth")
    config = recipe(network={"backbone": "resnet18", "head": "deconv"}, start={"all": "simple.pth"})
    module = build_module(config)
    start_from(module, config, tmp_path)
    assert torch.equal(module.head.final_layer.bias, torch.full((13,), 2.0))
    assert torch.equal(module.backbone.conv1.weight, network.backbone.conv1.weight)


def test_a_joint_that_is_a_mean_gets_the_mean_of_the_rows():
    rows = torch.arange(16.0)
    found = convert_outputs({"final_layer.bias": rows, "conv1.bias": rows}, MPII16, PENN13)
    head = found["final_layer.bias"][PENN13.index("head")]
    assert head == (MPII16.index("head_top") + MPII16.index("upper_neck")) / 2
    wrist = found["final_layer.bias"][PENN13.index("left_wrist")]
    assert wrist == MPII16.index("left_wrist")
    assert torch.equal(found["conv1.bias"], rows)


def test_every_joint_of_jhmdb_can_be_had_from_mpii():
    found = convert_outputs({"final_layer.bias": torch.ones(16)}, MPII16, JHMDB15)
    torch.testing.assert_close(found["final_layer.bias"], torch.ones(15))


@pytest.mark.parametrize(
    ("start", "named"),
    [
        ({"wings": "checkpoint.pt"}, "wings"),
        ({"all": "nowhere.pt"}, "nowhere.pt"),
        ({"backbone": "other.pth"}, "None of"),
        ({"head": "checkpoint.pt"}, "do not fit"),
    ],
)
def test_weights_that_cannot_be_used_are_named(recipe, saved, tmp_path, start, named):
    saved()
    torch.save({"x": torch.zeros(1)}, tmp_path / "other.pth")
    config = recipe(network=LIGHT, start=start)
    with pytest.raises(CheckpointError, match=named):
        start_from(build_module(config), config, tmp_path)


@pytest.mark.parametrize("recipe_name", ["ppn-swift-body", "mpii/resnet18"])
def test_missing_weights_say_which_recipe_makes_them(recipe, tmp_path, recipe_name):
    name = f"runs/{recipe_name.replace('/', '-')}/checkpoint.pt"
    config = recipe(network=LIGHT, start={"all": name})
    with pytest.raises(CheckpointError, match=f"edgepose train {recipe_name}$"):
        start_from(build_module(config), config, tmp_path)


def test_images_become_normalised_rgb():
    image = torch.zeros(2, 4, 4, 3, dtype=torch.uint8)
    image[..., 0] = 255  # blue
    found = network_input(image)
    assert found.shape == (2, 3, 4, 4)
    assert found[0, 2, 0, 0].item() == pytest.approx((1 - 0.406) / 0.225, abs=1e-5)
    assert found[0, 0, 0, 0].item() == pytest.approx(-0.485 / 0.229, abs=1e-5)
