import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from edgepose.benchmarking.peers import PEERS  # noqa: E402
from edgepose.models.imagenet import MEAN, STD  # noqa: E402
from edgepose.models.networks import build_network  # noqa: E402
from edgepose_converters.movenet import NETWORK, import_movenet, restore_norms  # noqa: E402
from edgepose_runtime.errors import CheckpointError  # noqa: E402
from edgepose_runtime.skeletons import COCO17, PENN13  # noqa: E402

MAPS = "StatefulPartitionedCall/Sigmoid:0"


def network_input(image):
    """Float32 (1, 3, S, S) of uint8 RGB (S, S, 3)."""
    normalised = (image / 255 - np.array(MEAN)) / np.array(STD)
    return torch.tensor(normalised, dtype=torch.float32).permute(2, 0, 1)[None]


@pytest.mark.data
def test_the_imported_network_computes_what_movenet_does():
    path = next(peer for peer in PEERS if "movenet" in peer.file).weights()
    if path is None:
        pytest.skip("MoveNet's weights are not there")
    rng = np.random.default_rng(0)
    smooth = rng.integers(0, 256, (6, 6, 3)).repeat(32, 0).repeat(32, 1).astype(np.uint8)
    graph = onnx.load(path)
    graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(MAPS))
    session = ort.InferenceSession(graph.SerializeToString())
    (theirs,) = session.run([MAPS], {"input:0": smooth[None].astype(np.int32)})
    network = import_movenet(path, torch.randn(4, 3, 96, 96), COCO17)
    with torch.no_grad():
        maps = network(network_input(smooth)).numpy()
    assert np.abs(maps - theirs).max() < 0.02
    assert len(import_movenet(path, torch.randn(4, 3, 96, 96), PENN13).head.final_layer.bias) == 13


def test_norms_get_statistics_and_compute_the_same():
    torch.manual_seed(0)
    network = build_network(NETWORK, 13).eval()
    pictures = torch.randn(6, 3, 64, 64)
    with torch.no_grad():
        before = network(pictures)
        restore_norms(network, pictures)
        after = network(pictures)
        network.train()
        learning = network(pictures)
    assert network.backbone.features[5].conv[1][1].running_var.std() > 0
    assert torch.allclose(before, after, rtol=1e-3, atol=1e-3 * float(before.abs().max()))
    # With the statistics of the very batch, learning changes nothing at first.
    assert torch.allclose(after, learning, rtol=0.05, atol=0.05 * float(before.abs().max()))


def test_other_files_are_refused(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("not a graph")
    other = tmp_path / "other.onnx"
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], [])), other)
    for path in (tmp_path / "missing.onnx", text, other):
        with pytest.raises(CheckpointError, match=path.name):
            import_movenet(path, torch.zeros(1, 3, 64, 64), PENN13)
