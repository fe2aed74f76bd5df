import numpy as np
import onnx
import pytest
import torch

from edgepose.models.pose.test_time_averaging import TestTimeAveragedHead
from edgepose_converters.export.graphs import PixelNormalisation
from edgepose_converters.export.networks import Geometry, export_body, export_ppn
from edgepose_runtime.backends import BackendSettings, available_backends, get_backend
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.poses.skeletons import PENN13


def feeds(graph, batch, seed=0):
    random = np.random.default_rng(seed)
    found = {}
    for spec in graph.inputs:
        shape = (batch, *spec.shape[1:])
        top = 256 if spec.dtype == "uint8" else 1
        found[spec.name] = (random.random(shape) * top).astype(spec.dtype)
    return found


def by_torch(module, fed):
    with torch.no_grad():
        outputs = module(*map(torch.from_numpy, fed.values()))
    return [outputs.numpy()] if isinstance(outputs, torch.Tensor) else [o.numpy() for o in outputs]


def by_runtime(name, graph, fed):
    settings = BackendSettings(precision="float32", num_threads=1)
    with get_backend(name).load(graph.content, settings=settings) as network:
        return list(network.infer(fed).values())


def assert_agree(graph, module, batch):
    fed = feeds(graph, batch)
    wanted = by_torch(module, fed)
    for name in available_backends():
        for found, expected in zip(by_runtime(name, graph, fed), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4)


@pytest.fixture(params=["float32", "float16"])
def weights(request):
    return request.param


def test_pixels_are_turned_into_normalised_rgb():
    pixels = np.zeros((1, 2, 2, 3), np.uint8)
    pixels[0, 0, 1] = (255, 128, 0)  # blue, green, red
    planes = PixelNormalisation()(torch.from_numpy(pixels))
    assert planes.shape == (1, 3, 2, 2)
    expected = [(0 - 0.485) / 0.229, (128 / 255 - 0.456) / 0.224, (1 - 0.406) / 0.225]
    np.testing.assert_allclose(planes[0, :, 0, 1].numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
def test_runtimes_compute_what_torch_does(ppn, geometry, weights, batch):
    for graph in export_ppn(ppn, geometry, weights=weights).values():
        assert_agree(graph, graph.stored, batch)


def test_float32_graphs_compute_what_the_trained_network_does(ppn, geometry):
    for graph in export_ppn(ppn, geometry).values():
        assert_agree(graph, graph.trained, 2)


def test_the_step_is_the_models_own(ppn, geometry):
    fed = feeds(export_ppn(ppn, geometry)["step"], 2)
    graph = export_ppn(ppn, geometry)["step"]
    image, previous = map(torch.from_numpy, fed.values())
    with torch.no_grad():
        final, preliminary = ppn.step(PixelNormalisation()(image), previous)
    outputs = by_runtime("onnxruntime", graph, fed)
    np.testing.assert_allclose(outputs[0], final.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(outputs[1], preliminary.numpy(), rtol=1e-3, atol=1e-4)


def test_the_propagation_unit_alone_makes_of_the_same_maps_what_the_step_does(ppn, geometry):
    graphs = export_ppn(ppn, geometry)
    fed = feeds(graphs["step"], 2)
    final, preliminary = by_runtime("onnxruntime", graphs["step"], fed)
    kept = {"preliminary": preliminary, "previous": fed["previous"]}
    (alone,) = by_runtime("onnxruntime", graphs["propagate"], kept)
    np.testing.assert_allclose(alone, final, rtol=1e-4, atol=1e-5)


def test_graphs_have_the_names_and_shapes_of_the_contract(ppn, geometry):
    graphs = export_ppn(ppn, geometry)
    assert set(graphs) == {"head", "step", "propagate"}
    maps = "float32 (N, 13, 8, 8)"
    described = {
        name: [f"{spec.name}: {spec}" for spec in (*graph.inputs, *graph.outputs)]
        for name, graph in graphs.items()
    }
    assert described == {
        "head": ["image: uint8 (N, 32, 32, 3)", f"heatmaps: {maps}"],
        "step": [
            "image: uint8 (N, 32, 32, 3)",
            f"previous: {maps}",
            f"heatmaps: {maps}",
            f"preliminary: {maps}",
        ],
        "propagate": [f"preliminary: {maps}", f"previous: {maps}", f"heatmaps: {maps}"],
    }
    for name in available_backends():
        for graph in graphs.values():
            with get_backend(name).load(graph.content, settings=BackendSettings()) as network:
                assert tuple(network.inputs.values()) == graph.inputs
                assert tuple(network.outputs.values()) == graph.outputs


def test_graphs_are_opset_17_of_standard_operators_without_batch_norms(ppn, geometry, weights):
    for graph in export_ppn(ppn, geometry, weights=weights).values():
        model = onnx.load_from_string(graph.content)
        onnx.checker.check_model(model, full_check=True)
        assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]
        assert {node.domain for node in model.graph.node} == {""}
        assert "BatchNormalization" not in {node.op_type for node in model.graph.node}


def test_float16_weights_halve_a_graph(network, geometry):
    network.deep[3] = torch.nn.Conv2d(16, 16, 31, 2, 15)
    sizes = [
        len(export_body(network, geometry, weights=weights)["body"].content)
        for weights in ("float32", "float16")
    ]
    assert sizes[1] < 0.55 * sizes[0]


def test_an_averaged_head_can_be_exported(ppn, geometry):
    head = TestTimeAveragedHead(ppn.body, PENN13.flip_order, 32, 8, scales=(0.8, 1.0, 1.25))
    graph = export_ppn(ppn, geometry, head=head)["head"]
    for batch in (1, 3):
        assert_agree(graph, graph.trained, batch)


def test_without_a_head_the_body_starts(ppn, geometry):
    ppn.head = None
    graphs = export_ppn(ppn, geometry)
    fed = feeds(graphs["head"], 1)
    head = by_runtime("onnxruntime", graphs["head"], fed)[0]
    step = by_runtime(
        "onnxruntime", graphs["step"], {**fed, "previous": np.zeros((1, 13, 8, 8), np.float32)}
    )
    np.testing.assert_allclose(head, step[1], atol=1e-5)


def test_a_geometry_that_does_not_fit_is_refused(network):
    with pytest.raises(ConfigError, match=r"heatmaps should be float32 \(N, 13, 9, 9\), but"):
        export_body(network, Geometry(input_size=32, heatmap_size=9, joints=13))


def test_unknown_weights_are_refused(network, geometry):
    with pytest.raises(ConfigError, match="float32 or float16; got 'int4'"):
        export_body(network, geometry, weights="int4")


def test_exporting_leaves_the_network_as_it_was(ppn, geometry):
    before = {name: value.clone() for name, value in ppn.state_dict().items()}
    export_ppn(ppn, geometry, weights="float16")
    torch.testing.assert_close(ppn.state_dict(), before)
