from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from edgepose.cli.main import main  # noqa: E402
from edgepose.inference.model import bundle_path, load  # noqa: E402
from edgepose_converters.export.rtmdet import MEAN, STD, import_rtmdet  # noqa: E402
from edgepose_runtime.bundles.bundle import load_bundle, write_bundle  # noqa: E402
from edgepose_runtime.errors import CheckpointError, ConfigError  # noqa: E402

SIZE = 64


class Published(torch.nn.Module):
    """Maps at strides 8, 16 and 32, channels last, as the published graph returns them."""

    def __init__(self, channels=5):
        super().__init__()
        torch.manual_seed(0)
        self.layers = torch.nn.ModuleList(
            torch.nn.Conv2d(3, channels, stride, stride) for stride in (8, 16, 32)
        )

    def forward(self, images):
        return tuple(layer(images).permute(0, 2, 3, 1) for layer in self.layers)


def export(path, channels=5):
    model = Published(channels).eval()
    names = {"input_names": ["images"], "output_names": ["a", "b", "c"]}
    torch.onnx.export(model, (torch.randn(1, 3, SIZE, SIZE),), path, dynamo=False, **names)
    return path


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    return export(tmp_path_factory.mktemp("published") / "rtmdet.onnx")


def run(content, feeds):
    return ort.InferenceSession(content, providers=["CPUExecutionProvider"]).run(None, feeds)


@pytest.mark.parametrize(("weights", "tolerance"), [("float32", 1e-5), ("float16", 5e-3)])
def test_the_converted_graph_takes_pixels_and_returns_the_same_maps(published, weights, tolerance):
    detector = import_rtmdet(published, weights)
    frame = np.random.default_rng(1).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    image = ((frame - np.array(MEAN)) / np.array(STD)).transpose(0, 3, 1, 2).astype(np.float32)
    for wanted, found in zip(
        run(published.read_bytes(), {"images": image}),
        run(detector.content, {"frame": frame}),
        strict=True,
    ):
        np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())
    assert detector.spec.size == SIZE
    assert {spec.name for spec in detector.graph.outputs} == {"stride_8", "stride_16", "stride_32"}


def test_another_network_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no RTMDet"):
        import_rtmdet(export(tmp_path / "other.onnx", channels=6))
    (tmp_path / "broken.onnx").write_bytes(b"no graph")
    with pytest.raises(CheckpointError, match="cannot be read"):
        import_rtmdet(tmp_path / "broken.onnx")


def test_a_bundle_gets_a_detector_and_keeps_everything_else(published, tmp_path, capsys):
    source, out = load_bundle(bundle_path("ppn-swift")), tmp_path / "out"
    assert main(["convert", str(source.path), str(out), "--detector", str(published)]) == 0
    assert "with a person detector" in capsys.readouterr().out
    made = load_bundle(out)
    for name in ("head", "body"):
        assert made.manifest.graphs[name] == source.manifest.graphs[name]
    assert made.manifest.springs == source.manifest.springs
    assert made.manifest.detector.size == SIZE
    with load(out) as model:
        network, spec = model.detector()
        assert spec == made.manifest.detector and set(network.inputs) == {"frame"}


def test_a_model_without_a_detector_says_what_to_do(tmp_path):
    source = load_bundle(bundle_path("ppn-swift"))
    graphs = {n: source.graph_path(n).read_bytes() for n in ("head", "body")}
    described = {name: source.manifest.graphs[name] for name in graphs}
    manifest = replace(source.manifest, graphs=described, detector=None)
    write_bundle(tmp_path / "plain", manifest, graphs)
    with (
        load(tmp_path / "plain") as model,
        pytest.raises(ConfigError, match=r"no person detector.*--detector"),
    ):
        model.detector()
