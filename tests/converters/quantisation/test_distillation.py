"""Graphs with kernels that come at run time, in int8."""

import numpy as np
import onnx
import pytest

from edgepose.inference.model import load
from edgepose.models import build_dkd
from edgepose.results import Origin
from edgepose_converters.checkpoints.trained import TrainedModel
from edgepose_converters.export.bundling import BundleOptions, build_bundle
from edgepose_converters.export.networks import Geometry, export_dkd
from edgepose_converters.export.verification import synthetic_crops
from edgepose_converters.quantisation import int8
from edgepose_converters.quantisation.cleaning import cleaned, initialisers, producers, store
from edgepose_converters.quantisation.int8 import Int8Options, quantise_bundle
from edgepose_converters.quantisation.layers import quantised_layers, weighted_layers
from edgepose_converters.quantisation.post_training import quantised
from edgepose_converters.quantisation.probing import Probe, relative_error, run_graph
from edgepose_runtime.backends import available_backends
from edgepose_runtime.bundles.manifest import HeatmapSpec
from edgepose_runtime.geometry.roi import Roi
from edgepose_runtime.poses.skeletons import PENN13

CROPS = synthetic_crops(256, 8)
ROI = Roi(0, 0, 256, 256)


@pytest.fixture(scope="module")
def kernel_bundle(dkd, tmp_path_factory):
    model = TrainedModel(dkd, PENN13, 256, HeatmapSpec(32, 8.0, 3.5), {})
    folder = tmp_path_factory.mktemp("float") / "dkd"
    return build_bundle(model, folder, BundleOptions("dkd"), CROPS)[0]


@pytest.fixture(scope="module")
def step(kernel_bundle):
    return kernel_bundle.graph_path("step").read_bytes()


@pytest.fixture(scope="module")
def feeds(kernel_bundle):
    """What the step of a real sequence is fed."""
    found = []
    with load(kernel_bundle.path, precision="float32", num_threads=1) as model:
        estimate = model.method.initialise(CROPS[0], ROI)
        for crop in CROPS[1:]:
            start = np.zeros((1, 13, 32, 32), np.float32)
            fresh = np.zeros((1, 1, 1, 1), np.float32)
            image, kernels = crop[None], estimate.state.kernels[None]
            found.append({"image": image, "kernels": kernels, "start": start, "fresh": fresh})
            estimate = model.method.advance(crop, ROI, estimate.state)
    return found


@pytest.fixture(scope="module")
def graph(step, feeds):
    return quantised(cleaned(step), feeds)


def test_what_kernels_add_to_the_heatmaps_is_added_in_float():
    size, crops = 128, synthetic_crops(128, 2)
    network = build_dkd({"base": "dkd-swift", "input_size": size}, 13).eval()
    content = export_dkd(network, Geometry(size, size // 4, 13))["step"].content
    fed = {
        "kernels": np.zeros((1, 16, 3, 3), np.float32),
        "start": np.zeros((1, 13, 32, 32), np.float32),
        "fresh": np.zeros((1, 1, 1, 1), np.float32),
    }
    graph = quantised(cleaned(content), [{"image": crop[None], **fed} for crop in crops]).graph
    made_by = producers(graph)
    last = [made_by[node.input[0]] for node in graph.node if node.op_type == "Sigmoid"]
    (added,) = (node for node in last if node.op_type == "Add")
    assert {made_by[name].op_type for name in added.input} == {"Conv", "Add"}


def test_matching_stays_float_and_layers_become_int8(graph, step):
    made_by = producers(graph.graph)
    products = [node for node in graph.graph.node if node.op_type == "MatMul"]
    assert len(products) == 3
    for name in (name for node in products for name in node.input):
        maker = made_by.get(name)
        while maker is not None and maker.op_type in ("Reshape", "Gather", "Pad"):
            maker = made_by.get(maker.input[0])
        assert maker is None or maker.op_type != "DequantizeLinear"
    behind_concat = "/distillator/layers/layers.0/Conv"  # which OpenVINO gets wrong in int8
    layers = [layer.name for layer in weighted_layers(cleaned(step))]
    assert quantised_layers(graph) == [name for name in layers if name != behind_concat]


def test_runtimes_agree_on_heatmaps_and_kernels(graph, step, feeds):
    content = graph.SerializeToString()
    first, *others = (run_graph(content, feeds, name) for name in available_backends())
    assert set(first) == {"heatmaps", "distilled"}
    for other in others:
        assert relative_error(other, first) < 0.1
    assert relative_error(first, run_graph(step, feeds, "openvino")) < 0.2


def test_an_error_in_the_kernels_counts_as_well(step, feeds):
    probe = Probe(step, feeds)
    assert probe.error(step) == 0
    half = cleaned(step)
    weight = initialisers(half.graph)["dkd.memory.distillator.layers.7.weight"]
    store(weight, onnx.numpy_helper.to_array(weight) / 2)
    assert probe.error(half.SerializeToString()) > 0.1


@pytest.mark.slow
def test_a_bundle_is_quantised_like_any_other(kernel_bundle, clips, monkeypatch, tmp_path):
    monkeypatch.setattr(int8, "validation_clips", lambda *_: clips[:1])
    monkeypatch.setattr(int8, "read_jhmdb_clips", lambda *_: clips)
    monkeypatch.setattr(int8, "_PROBE_FRAMES", 5)
    # A network that was never trained enlarges what processors round in other ways.
    monkeypatch.setattr(int8, "LARGEST_DISAGREEMENT", 0.5)
    options = Int8Options("dkd-int8", tmp_path, calibration_frames=10, max_drop=100)
    bundle, report = quantise_bundle(kernel_bundle, tmp_path / "dkd-int8", options)
    assert set(report.losses) == {"tracking", "head"}
    assert report.calibration["frames"] == {"head": 1, "step": 10}
    with load(bundle.path, num_threads=1) as model:
        assert "int8" in model.precision
        estimate = model.method.initialise(CROPS[0], ROI)
        assert model.method.advance(CROPS[1], ROI, estimate.state).origin is Origin.MATCHED
