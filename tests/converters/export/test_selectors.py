import numpy as np
import onnx
import pytest
import torch

from edgepose.cli.main import main
from edgepose.models.backbones.mobilenet import MobileNetV2
from edgepose.models.keyframes.online import OnlineConfig, OnlineDiscriminator
from edgepose.models.keyframes.rates import KeyRateNetwork
from edgepose.models.pose.network import build_network
from edgepose.offline.learned_selector import LearnedSelector
from edgepose.training.selectors.checkpoints import Selectors, save_selectors
from edgepose.training.selectors.features import TRUNK_LAYERS, new_trunk, trunk_backbone
from edgepose.training.tasks.networks import network_input
from edgepose_converters.export.networks import Geometry, export_body
from edgepose_converters.export.selectors import export_selector, require_same_trunk
from edgepose_runtime.errors import AccuracyError, BundleFormatError

GEOMETRY = Geometry(64, 16, 13)


@pytest.fixture(scope="module")
def networks():
    """A body with a trunk, and rates that differ from frame to frame."""
    torch.manual_seed(0)
    body = build_network({"backbone": "mobilenet_v2", "head": "pyramid"}, 13).eval()
    rates = KeyRateNetwork().eval()
    torch.nn.init.normal_(rates.rate.weight, std=2.0)
    return body, rates


@pytest.fixture(scope="module")
def exported(networks, tmp_path_factory):
    """The selector of a bundle with that body."""
    body, rates = networks
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "body.onnx").write_bytes(export_body(body, GEOMETRY)["body"].content)
    model = export_selector(rates, folder)
    path = folder / "selector.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_the_exported_selector_says_what_torch_does(networks, exported, backend):
    body, rates = networks
    frames = np.random.default_rng(0).integers(0, 255, (9, 96, 96, 3), np.uint8)
    trunk = torch.nn.Sequential(*list(body.backbone.features)[:TRUNK_LAYERS])
    assert isinstance(body.backbone, MobileNetV2)
    with torch.no_grad():
        expected = rates(trunk(network_input(torch.from_numpy(frames)))).numpy()
    with LearnedSelector(exported, backend, precision="float32") as learned:
        found = learned.rates(frames.reshape(9, -1).astype(np.float32))
        one = learned.rates(frames[:1].reshape(1, -1).astype(np.float32))
    assert np.ptp(expected) > 1e-3
    np.testing.assert_allclose(found, expected, atol=1e-3 * np.ptp(expected) + 1e-4)
    np.testing.assert_allclose(one, [1.0], atol=1e-5)


def test_a_bundle_of_another_body_is_refused(networks, exported):
    layers = networks[0].backbone.features
    own = trunk_backbone(torch.nn.Sequential(*list(layers)[:TRUNK_LAYERS]))
    require_same_trunk(own, exported.parent)
    with pytest.raises(AccuracyError, match="another body"):
        require_same_trunk(trunk_backbone(new_trunk().eval()), exported.parent)


def test_a_checkpoint_becomes_a_file_in_a_folder_that_it_makes(
    networks, exported, tmp_path, capsys
):
    body, rates = networks
    trunk = torch.nn.Sequential(*list(body.backbone.features)[:TRUNK_LAYERS])
    online = OnlineDiscriminator(OnlineConfig(channels=64, grid=6, edge=True))
    save_selectors(tmp_path / "kfpn.pt", Selectors(trunk_backbone(trunk), rates, online))
    out = tmp_path / "new" / "selector.onnx"
    words = ["convert", str(tmp_path / "kfpn.pt"), str(out), "--to", "selector"]
    words += ["--model", str(exported.parent)]
    assert main(words) == 0
    assert str(out) in capsys.readouterr().out
    assert main(words) == 1
    assert "--overwrite" in capsys.readouterr().err
    with LearnedSelector(out) as learned:
        assert len(learned(learned.describe(np.zeros((96, 96, 3), np.uint8))[None])) == 1


def test_only_standard_operators_are_used(exported):
    model = onnx.load(exported)
    assert {node.domain for node in model.graph.node} == {""}
    assert [each.name for each in model.graph.input] == ["images"]


def test_a_body_without_that_trunk_is_refused(networks, network, tmp_path):
    (tmp_path / "body.onnx").write_bytes(export_body(network, GEOMETRY)["body"].content)
    with pytest.raises(BundleFormatError, match="no MobileNet-V2"):
        export_selector(networks[1], tmp_path)


def test_a_folder_without_networks_is_refused(networks, tmp_path):
    with pytest.raises(BundleFormatError, match="neither"):
        export_selector(networks[1], tmp_path)
