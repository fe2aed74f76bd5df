"""The graphs of the shipped bundle run in ONNX Runtime, OpenVINO and TensorRT."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper

from edgepose.inference.model import bundle_path
from edgepose_converters.export.verification import crops_from_clips
from edgepose_converters.quantisation.int8 import LARGEST_DISAGREEMENT
from edgepose_converters.quantisation.probing import relative_error, run_graph
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.capture import open_source

# Operators that TensorRT 10 takes in float (onnx-tensorrt, docs/operators.md). ONNX Runtime takes
# all of opset 17; that OpenVINO does is tested by running the graphs.
TENSORRT = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Clip",
        "Concat",
        "Constant",
        "Conv",
        "ConvTranspose",
        "DepthToSpace",
        "DequantizeLinear",
        "Div",
        "Expand",
        "Flatten",
        "Gather",
        "Gemm",
        "GlobalAveragePool",
        "GridSample",
        "HardSigmoid",
        "Identity",
        "MatMul",
        "Max",
        "MaxPool",
        "Min",
        "Mod",
        "Mul",
        "Pow",
        "QuantizeLinear",
        "Range",
        "Reciprocal",
        "ReduceMax",
        "ReduceMean",
        "ReduceSum",
        "Relu",
        "Reshape",
        "Resize",
        "Shape",
        "Sigmoid",
        "Slice",
        "Split",
        "Sqrt",
        "Squeeze",
        "Sub",
        "Tanh",
        "Transpose",
        "Unsqueeze",
        "Where",
    }
)
BUNDLE = load_bundle(bundle_path("ppn-swift"))
#: Those that a pose comes from; the head is RTMPose-s, which stays float.
GRAPHS = ["head", "body"]

pytestmark = pytest.mark.skipif(
    BUNDLE.manifest.precision != "int8", reason="the shipped bundle is not quantised"
)


@pytest.mark.parametrize("name", sorted(set(BUNDLE.manifest.graphs) - {"detector"}))
def test_only_operators_that_all_three_runtimes_accept(name):
    model = onnx.load(BUNDLE.graph_path(name))
    assert {node.op_type for node in model.graph.node} <= TENSORRT
    assert [(opset.domain, opset.version) for opset in model.opset_import] == [("", 17)]


def test_quantisation_is_symmetric_int8_with_stored_scales():
    model = onnx.load(BUNDLE.graph_path("body"))
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
    assert pairs, "the shipped graph is quantised"
    for node in pairs:
        assert (numpy_helper.to_array(stored[node.input[1]]) > 0).all()
        zeros = numpy_helper.to_array(stored[node.input[2]])
        assert zeros.dtype == np.int8
        assert not zeros.any()
        if node.op_type == "QuantizeLinear":
            assert stored[node.input[1]].dims in ([], [1]), "activations are per tensor"


@pytest.mark.parametrize("name", GRAPHS)
def test_pixels_are_cast_before_anything_else(name):
    model = onnx.load(BUNDLE.graph_path(name))
    images = {
        value.name
        for value in model.graph.input
        if value.type.tensor_type.elem_type == TensorProto.UINT8
    }
    users = [node.op_type for node in model.graph.node if images & set(node.input)]
    assert users == ["Cast"]


@pytest.mark.parametrize("name", GRAPHS)
def test_runtimes_agree_on_real_frames(name, sample_clip):
    with open_source(sample_clip) as source:
        size = BUNDLE.manifest.input.view.width, BUNDLE.manifest.input.view.height
        crops = crops_from_clips((frame.image for frame in source), size, 3)
    feeds = [{"image": crop[None]} for crop in crops]
    graph = BUNDLE.graph_path(name).read_bytes()
    maps = [run_graph(graph, feeds, backend) for backend in ("openvino", "onnxruntime")]
    # Twice what is allowed around the person: here the whole picture is one crop.
    assert relative_error(*maps) < 2 * LARGEST_DISAGREEMENT
