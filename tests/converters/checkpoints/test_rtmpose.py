import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from edgepose.cli.main import main  # noqa: E402
from edgepose.models import build_network  # noqa: E402
from edgepose.models.pose.coordinate_head import Grid  # noqa: E402
from edgepose.models.pose.network import RTMPOSE  # noqa: E402
from edgepose.models.pose.rtmpose import RTMPose  # noqa: E402
from edgepose.training.checkpoint import load_weights  # noqa: E402
from edgepose_converters.checkpoints.rtmpose import (  # noqa: E402
    import_rtmpose,
    load_rtmpose,
    rtmpose_head,
)
from edgepose_converters.cli import convert_bundle  # noqa: E402
from edgepose_runtime.bundles.bundle import load_bundle  # noqa: E402
from edgepose_runtime.errors import CheckpointError  # noqa: E402
from edgepose_runtime.geometry.input_view import InputView  # noqa: E402
from edgepose_runtime.poses.skeletons import HALPE26, PENN13  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    network = RTMPose(26).eval()
    for parameter in network.parameters():
        if parameter.ndim == 1:
            torch.nn.init.normal_(parameter, mean=0.5, std=0.1)
    return network


@pytest.fixture(scope="module")
def published(network, tmp_path_factory):
    """A graph as MMDeploy exports it: linear layers turned, attention's factors with axes of 1."""
    path = tmp_path_factory.mktemp("published") / "rtmpose.onnx"
    torch.onnx.export(
        network,
        (torch.randn(1, 3, 256, 192),),
        path,
        opset_version=17,
        dynamo=False,
        input_names=["input"],
        output_names=["simcc_x", "simcc_y"],
    )
    return path


def test_the_imported_network_computes_what_the_graph_does(published):
    network, report = import_rtmpose(published)
    image = torch.randn(1, 3, 256, 192)
    expected = ort.InferenceSession(published).run(None, {"input": image.numpy()})
    with torch.no_grad():
        found = network(image)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, torch.from_numpy(theirs), rtol=1e-4, atol=1e-4)
    assert report.count("matched") + report.count("converted") == len(network.state_dict())


def test_another_graph_is_refused(published, tmp_path):
    graph = onnx.load(published)
    kept = [each for each in graph.graph.initializer if "attention" not in each.name]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)
    onnx.save(graph, tmp_path / "other.onnx")
    with pytest.raises(CheckpointError, match="is not RTMPose-s"):
        import_rtmpose(tmp_path / "other.onnx")
    (tmp_path / "text.onnx").write_text("no graph")
    with pytest.raises(CheckpointError, match="cannot be read"):
        import_rtmpose(tmp_path / "text.onnx")


def test_weights_that_were_imported_are_read_again(published, tmp_path, capsys):
    out = tmp_path / "rtmpose.pth"
    assert main(["convert", str(published), str(out), "--from", "rtmpose"]) == 0
    assert "matched" in capsys.readouterr().out
    torch.testing.assert_close(
        load_rtmpose(out).state_dict(), import_rtmpose(published)[0].state_dict()
    )


@pytest.fixture(autouse=True)
def pictures(monkeypatch):
    images = torch.randn(4, 3, 64, 64)
    monkeypatch.setattr(convert_bundle, "data_root", lambda: None)
    monkeypatch.setattr(convert_bundle, "statistics_pictures", lambda _: images)


@pytest.fixture(scope="module")
def bundle(ppn_checkpoint, tmp_path_factory):
    """A bundle with the head of its checkpoint."""
    out = tmp_path_factory.mktemp("converted") / "bundle"
    assert main(["convert", str(ppn_checkpoint), str(out)]) == 0
    return out


@pytest.mark.slow
def test_it_starts_the_sequences_of_a_bundle(published, ppn_checkpoint, tmp_path):
    out = tmp_path / "bundle"
    head = f"rtmpose:{published}"
    assert main(["convert", str(ppn_checkpoint), str(out), "--head", head]) == 0
    session = ort.InferenceSession(out / "head.onnx")
    assert session.get_inputs()[0].shape[1:] == [64, 64, 3]
    assert session.get_outputs()[0].shape[1:] == [13, 16, 16]


@pytest.mark.slow
def test_it_replaces_the_head_of_a_bundle_and_nothing_else(published, bundle, tmp_path):
    head = ["--head", f"rtmpose:{published}", "--head-is-final"]
    assert main(["convert", str(bundle), str(tmp_path / "other"), *head]) == 0
    before, after = load_bundle(bundle).manifest, load_bundle(tmp_path / "other").manifest
    assert after.head_is_final and not before.head_is_final
    assert "RTMPose-s" in after.training["head"]
    changed = {name for name in before.graphs if after.graphs[name] != before.graphs[name]}
    assert changed == {"head"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [([], "is a bundle already"), (["--head", "average"], "can be exchanged for rtmpose:FILE")],
)
def test_other_changes_of_a_bundle_are_refused(bundle, tmp_path, capsys, options, sentence):
    assert main(["convert", str(bundle), str(tmp_path / "other"), *options]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "other").exists()


def test_as_heatmaps_it_finds_what_its_curves_show(published, tmp_path, capsys):
    out = tmp_path / "body.pth"
    convert = ["convert", str(published), str(out), "--from", "rtmpose", "--skeleton", "penn13"]
    assert main(convert) == 0
    capsys.readouterr()
    body = build_network(RTMPOSE, 13).eval()
    body.load_state_dict(load_weights(out).values)
    image = torch.randn(1, 3, 256, 192)
    with torch.no_grad():
        columns, rows = import_rtmpose(published)[0](image)
        maps = body(image)
    wrist = PENN13.joints.index("right_wrist")
    curves = [found[0, HALPE26.joints.index("right_wrist")] for found in (columns, rows)]
    score = min(curve.max() for curve in curves).clamp(0, 1) ** 0.5
    assert maps[0, wrist].max().item() == pytest.approx(score.item(), rel=0.1)


def test_as_a_head_it_sees_the_same_of_upright_images_as_of_the_region(published):
    # Linear in both directions, so that resampling is exact.
    rows, columns = torch.meshgrid(torch.arange(224.0), torch.arange(224.0), indexing="ij")
    around = (0.01 * rows - 0.02 * columns).expand(1, 3, 224, 224)
    squares = InputView(192, 192), around[..., 16:208, 16:208]
    uprights = InputView(160, 224, (160 / 192, 224 / 192)), around[..., 32:192]
    images: list[torch.Tensor] = []
    for view, image in (squares, uprights):
        network = rtmpose_head(published, PENN13, view, Grid(192, 48, 4, 1.5))
        network.backbone.register_forward_pre_hook(lambda _, inputs: images.extend(inputs))
        with torch.no_grad():
            network(image)
    assert images[0].shape == (1, 3, 256, 192)
    # Above and below the region, squares repeat their border.
    found, expected = (image[:, :, 11:-11] for image in images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
