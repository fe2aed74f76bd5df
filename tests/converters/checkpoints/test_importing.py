import pytest
import torch

from edgepose.cli.main import main
from edgepose.models import HRNet, MobileNetV2Classifier, ResNet, build_network
from edgepose.training.checkpoint import load_weights
from edgepose_converters.checkpoints.importing import (
    CONVERTED,
    MATCHED,
    MISSING,
    UNUSED,
    import_backbone,
    import_pose_network,
)
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.errors import CheckpointError, ConfigError
from edgepose_runtime.poses.skeletons import MPII16, PENN13


def simple_baselines(joints=16, stages=3):
    """Weights with the names and shapes of SimpleBaselines' own ResNet-18 files."""
    torch.manual_seed(0)
    options = {"backbone": "resnet18", "head": "deconv", "stages": stages}
    named = build_network(options, joints).state_dict()
    return {name.split(".", 1)[1]: value for name, value in named.items()}


def saved(path, weights):
    torch.save(weights, path)
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    weights = {f"module.{name}": value for name, value in simple_baselines().items()}
    return saved(tmp_path_factory.mktemp("sb") / "pose_resnet_18.pth", {"state_dict": weights})


def test_every_weight_of_simple_baselines_finds_its_place(published):
    model, report = import_pose_network(published, "simple-baselines")
    weights = load_weights(published).values
    assert (model.skeleton, model.heatmap) == (MPII16, HeatmapSpec(64, 4.0, 0.0))
    assert report.count(MATCHED) == len(weights) == len(model.network.state_dict())
    assert not report.of(CONVERTED, UNUSED, MISSING)
    first = next(each for each in report.fates if each.key == "module.conv1.weight")
    assert (first.target, first.shape) == ("backbone.conv1.weight", (64, 3, 7, 7))
    assert torch.equal(model.network.backbone.conv1.weight, weights["module.conv1.weight"])


def test_another_skeleton_converts_the_last_layer_only(published):
    model, report = import_pose_network(published, "simple-baselines", skeleton=PENN13)
    assert [(each.target, each.shape) for each in report.of(CONVERTED)] == [
        ("head.final_layer.weight", (13, 256, 1, 1)),
        ("head.final_layer.bias", (13,)),
    ]
    rows = load_weights(published).values["module.final_layer.weight"]
    head = (rows[8] + rows[9]) / 2
    assert torch.allclose(model.network.head.final_layer.weight[0], head)


def test_stages_and_other_keys_are_seen(tmp_path):
    weights = {**simple_baselines(stages=2), "loss.sigma": torch.zeros(3)}
    model, report = import_pose_network(saved(tmp_path / "w.pth", weights), "simple-baselines")
    assert model.heatmap == HeatmapSpec(32, 8.0, 0.0)
    assert [(each.key, each.target, each.shape) for each in report.of(UNUSED)] == [
        ("loss.sigma", "", (3,))
    ]


def test_counters_that_old_files_lack_are_reported_and_do_no_harm(tmp_path):
    weights = {n: v for n, v in simple_baselines().items() if "num_batches" not in n}
    _, report = import_pose_network(saved(tmp_path / "w.pth", weights), "simple-baselines")
    assert {each.target.rsplit(".", 1)[1] for each in report.of(MISSING)} == {"num_batches_tracked"}


def test_hrnet_is_read_with_its_authors_names_and_any_width(tmp_path):
    # W18 is a small stand-in: names and structure are those of W32 and W48.
    backbone = HRNet(18).state_dict()
    last = {"final_layer.weight": torch.ones(16, 18, 1, 1), "final_layer.bias": torch.ones(16)}
    path = saved(tmp_path / "pose_hrnet.pth", {**backbone, **last})
    model, report = import_pose_network(path, "hrnet")
    assert report.count(MATCHED) == len(backbone) + 2 == 1754
    assert not report.of(CONVERTED, UNUSED, MISSING)
    assert model.heatmap == HeatmapSpec(64, 4.0, 0.0)
    name = "stage4.2.fuse_layers.0.3.0.weight"
    assert torch.equal(model.network.backbone.state_dict()[name], backbone[name])


@pytest.mark.parametrize("network", [ResNet(18), MobileNetV2Classifier()])
def test_torchvision_classifiers_become_backbones(tmp_path, network):
    classifier = {"fc.bias": torch.zeros(1000)} if isinstance(network, ResNet) else {}
    path = saved(tmp_path / "classifier.pth", {**network.state_dict(), **classifier})
    backbone, report = import_backbone(path)
    assert report.count(MATCHED) == len(backbone.state_dict())
    assert not report.of(CONVERTED, MISSING)
    assert all(each.key.startswith(("fc.", "classifier.")) for each in report.of(UNUSED))
    assert report.of(UNUSED)


def test_weights_that_are_there_are_replaced_only_when_asked(tmp_path, capsys):
    source = saved(tmp_path / "classifier.pth", MobileNetV2Classifier().state_dict())
    out = tmp_path / "weights.pth"
    out.write_text("precious")
    command = ["convert", str(source), str(out), "--from", "torchvision"]
    assert main(command) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert out.read_text() == "precious"
    assert main([*command, "--overwrite"]) == 0
    assert load_weights(out).values


@pytest.mark.data
def test_the_real_mobilenet_of_torchvision_is_read_whole(data_root):
    file = data_root.parent / "weights" / "mobilenet_v2-b0353104.pth"
    if not file.is_file():
        pytest.skip(f"{file} is not there.")
    _, report = import_backbone(file)
    assert [each.key for each in report.of(UNUSED)] == [
        "classifier.1.weight",
        "classifier.1.bias",
    ]
    assert not report.of(MISSING)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layer4.0.bn1.bias": None}, r"lacks 1 of the network's weights, 'backbone.layer4.0.bn1"),
        ({"final_layer.weight": None}, "must have 16 .mpii16. or 17 .coco17. outputs, .* none"),
        ({"final_layer.weight": torch.zeros(5, 256, 1, 1)}, "outputs, but has 5"),
        ({"layer3.2.conv1.weight": torch.zeros(1)}, "its layer3 has 3 blocks"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, sentence):
    weights = {n: v for n, v in {**simple_baselines(), **change}.items() if v is not None}
    with pytest.raises(CheckpointError, match=sentence):
        import_pose_network(saved(tmp_path / "w.pth", weights), "simple-baselines")


def test_a_resnet_is_no_hrnet(published):
    with pytest.raises(CheckpointError, match="so it is no HRNet"):
        import_pose_network(published, "hrnet")
    with pytest.raises(ConfigError, match="no form 'openpose'"):
        import_pose_network(published, "openpose")


def test_the_command_makes_a_bundle_and_tells_what_became_of_each_weight(
    published, tmp_path, capsys
):
    words = ["convert", published, tmp_path / "sb", "--from", "simple-baselines"]
    assert main([*map(str, words), "--skeleton", "penn13", "--input-size", "64"]) == 0
    printed = capsys.readouterr().out
    assert "converted  module.final_layer.weight  head.final_layer.weight" in printed
    assert "2 converted, 0 unused, 0 missing." in printed
    manifest = load_bundle(tmp_path / "sb").manifest
    assert (manifest.skeleton, manifest.method, manifest.input.size) == ("penn13", "framewise", 64)
    assert manifest.heatmap == HeatmapSpec(16, 4.0, 0.0)


def test_the_command_writes_a_backbone_that_a_recipe_can_start_from(tmp_path, capsys):
    source = saved(tmp_path / "resnet18.pth", ResNet(18).state_dict())
    words = ["convert", source, tmp_path / "backbone.pt", "--from", "torchvision"]
    assert main([*map(str, words)]) == 0
    assert "Weights: 120 matched, 0 converted, 0 unused, 0 missing." in capsys.readouterr().out
    assert len(load_weights(tmp_path / "backbone.pt").values) == 120
