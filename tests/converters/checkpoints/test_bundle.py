import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from edgepose.cli.main import main  # noqa: E402
from edgepose.inference.model import bundle_path  # noqa: E402
from edgepose.models.pose.network import LIGHT_PYRAMID, build_network  # noqa: E402
from edgepose.training.tasks.networks import load_trained  # noqa: E402
from edgepose_converters.checkpoints.bundle import read_bundle_body  # noqa: E402
from edgepose_runtime.bundles.bundle import load_bundle  # noqa: E402
from edgepose_runtime.bundles.self_check import reference_crop  # noqa: E402
from edgepose_runtime.errors import CheckpointError  # noqa: E402


@pytest.fixture(scope="module")
def bundle(ppn_checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("bundle") / "ppn"
    assert main(["convert", str(ppn_checkpoint), str(out)]) == 0
    return out


def test_the_body_of_a_bundle_computes_what_it_was_made_of(bundle, ppn_checkpoint):
    body = load_trained(ppn_checkpoint).module.body
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found, expected = read_bundle_body(load_bundle(bundle))(image), body(image)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "graph", "output"),
    [("ppn-swift-float", "body", "heatmaps"), ("ppn-stable-float", "step", "preliminary")],
)
def test_the_body_of_a_shipped_bundle_computes_what_its_graph_does(name, graph, output):
    bundle = load_bundle(bundle_path(name))
    crop = reference_crop(bundle.manifest.input.view.shape)[None]
    session = onnxruntime.InferenceSession(bundle.graph_path(graph))
    sides = {"image": crop.shape, "previous": (1, 13, 48, 48)}
    feeds = {each.name: np.zeros(sides[each.name], np.float32) for each in session.get_inputs()}
    (expected,) = session.run([output], {**feeds, "image": crop})
    norm = bundle.manifest.normalisation
    image = ((crop[..., ::-1] / 255 - norm.mean) / norm.std).transpose(0, 3, 1, 2)
    with torch.no_grad():
        found = read_bundle_body(bundle)(torch.from_numpy(image.astype(np.float32)))
    assert expected.max() > 0.2
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_it_becomes_weights_that_training_starts_from(bundle, tmp_path):
    out = tmp_path / "body.pth"
    assert main(["convert", str(bundle), str(out), "--from", "bundle"]) == 0
    build_network(LIGHT_PYRAMID, 13).load_state_dict(torch.load(out, weights_only=True))


def test_int8_weights_are_refused():
    with pytest.raises(CheckpointError, match="ppn-swift-float"):
        read_bundle_body(load_bundle(bundle_path("ppn-swift")))
