import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")

from edgepose.benchmarking.peers import PEERS  # noqa: E402
from edgepose.cli.main import main  # noqa: E402
from edgepose.models.backbones.imagenet import MEAN, STD  # noqa: E402
from edgepose.models.pose.network import LIGHT_PYRAMID, build_network  # noqa: E402
from edgepose_converters.checkpoints import statistics_pictures as module  # noqa: E402
from edgepose_converters.checkpoints.movenet import import_movenet, restore_norms  # noqa: E402
from edgepose_runtime.errors import CheckpointError, DataError  # noqa: E402
from edgepose_runtime.poses.skeletons import COCO17, PENN13  # noqa: E402

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
    network = import_movenet(path, COCO17)
    with torch.no_grad():
        maps = network(network_input(smooth)).numpy()
    assert np.abs(maps - theirs).max() < 0.02
    assert len(import_movenet(path, PENN13).head.final_layer.bias) == 13


def test_norms_get_statistics_and_compute_the_same():
    torch.manual_seed(0)
    network = build_network(LIGHT_PYRAMID, 13).eval()
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


def convolutions_of(network):
    """Weight and bias of each convolution in MoveNet's order, with three outputs we do not have."""
    head = network.head
    pairs = zip(head.laterals, head.merges, strict=True)
    merged = [layer for lateral, merge in pairs for layer in (lateral, *merge[:2])]
    backbone = [each for each in network.backbone.modules() if isinstance(each, torch.nn.Conv2d)]
    output = [*head.last[:2], head.final_layer]
    others = [[torch.nn.Conv2d(2, 2, 1)] * 3 for _ in range(3)]
    layers = [*backbone, head.reduce, *merged, *others[0], *others[1], *output, *others[2]]
    # Norms are folded away there: all convolutions have a bias.
    return [(each.weight, torch.randn(each.out_channels)) for each in layers]


def write_graph(path, convolutions):
    nodes, stored = [], []
    for index, pair in enumerate(convolutions):
        names = [f"weight{index}", f"bias{index}"]
        nodes.append(onnx.helper.make_node("Conv", [f"x{index}", *names], [f"y{index}"]))
        for name, value in zip(names, pair, strict=True):
            stored.append(onnx.numpy_helper.from_array(value.detach().numpy(), name))
    graph = onnx.helper.make_graph(nodes, "movenet", [], [], stored)
    onnx.save(onnx.helper.make_model(graph), path)
    return path


def test_every_convolution_comes_to_its_place(tmp_path):
    torch.manual_seed(0)
    source = build_network(LIGHT_PYRAMID, 17)
    convolutions = convolutions_of(source)
    network = import_movenet(write_graph(tmp_path / "movenet.onnx", convolutions), COCO17)
    found, wanted = network.state_dict(), source.state_dict()
    weights = [name for name, value in wanted.items() if value.ndim == 4]
    for name in weights[1:]:  # the first one is made for other numbers
        torch.testing.assert_close(found[name], wanted[name])
    torch.testing.assert_close(network.head.final_layer.bias, convolutions[-4][1])
    torch.testing.assert_close(network.head.last[2].bias, convolutions[-5][1])
    pixels = torch.rand(1, 3, 64, 64)
    ours = (pixels - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]
    weight, bias = convolutions[0]
    theirs = torch.nn.functional.conv2d(2 * pixels - 1, weight, bias, 2)
    with torch.no_grad():
        seen = network.backbone.features[0][:2](ours)
    torch.testing.assert_close(seen[..., :-1, :-1], theirs, rtol=1e-4, atol=1e-4)


@pytest.fixture
def bad_graphs(tmp_path):
    """Files that are not MoveNet Lightning, by what is wrong with them."""
    text = tmp_path / "text.onnx"
    text.write_text("not a graph")
    thunder = convolutions_of(build_network(LIGHT_PYRAMID, 17))
    thunder[3] = (torch.zeros(2, 2, 1, 1), torch.zeros(2))
    return {
        "cannot be read": [tmp_path / "missing.onnx", text],
        "it has 0 convolutions": [write_graph(tmp_path / "other.onnx", [])],
        "a weight has the shape": [write_graph(tmp_path / "thunder.onnx", thunder)],
    }


def test_convert_ends_in_one_sentence(bad_graphs, tmp_path, capsys):
    out = tmp_path / "weights.pth"
    for words, paths in bad_graphs.items():
        for path in paths:
            assert main(["convert", str(path), str(out), "--from", "movenet"]) == 1
            (sentence,) = capsys.readouterr().err.splitlines()
            assert words in sentence
            assert path.name in sentence
    assert not out.exists()


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [(["--skeleton", "horse"], 2, "horse"), (["--data-root", "nowhere"], 1, "nowhere")],
)
def test_convert_says_what_is_missing(tmp_path, capsys, options, code, words):
    graph = write_graph(
        tmp_path / "movenet.onnx", convolutions_of(build_network(LIGHT_PYRAMID, 17))
    )
    out = tmp_path / "weights.pth"
    assert main(["convert", str(graph), str(out), "--from", "movenet", *options]) == code
    assert words in capsys.readouterr().err
    assert not out.exists()


def test_a_folder_of_nobody_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "read_people", lambda *_: iter([]))
    with pytest.raises(DataError, match="nobody in"):
        module.statistics_pictures(tmp_path)


def test_other_files_are_refused(bad_graphs):
    for path in [path for paths in bad_graphs.values() for path in paths]:
        with pytest.raises(CheckpointError, match=path.name):
            import_movenet(path, PENN13)
