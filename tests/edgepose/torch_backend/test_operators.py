"""Each operator computes what ONNX Runtime computes."""

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")
pytest.importorskip("onnxruntime")

from edgepose.torch_backend import TorchBackend  # noqa: E402
from edgepose_runtime.backends import BackendSettings, get_backend  # noqa: E402

helper = onnx.helper
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(0, 2, (2, 4, 6, 8)).astype(np.float32)


def floats(*shape):
    return RANDOM.normal(0, 1, shape).astype(np.float32)


def whole(*numbers):
    return np.array(numbers, np.int64)


CASES = [
    ("Abs", [], {}),
    ("Add", [floats(8)], {}),
    ("AveragePool", [], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("AveragePool", [], {"kernel_shape": [3, 3], "pads": [1] * 4, "count_include_pad": 1}),
    ("Clip", [np.float32(-1), np.float32(1)], {}),
    ("Clip", [None, np.float32(1)], {}),
    ("Concat", [floats(2, 1, 6, 8)], {"axis": 1}),
    ("Conv", [floats(6, 4, 3, 3), floats(6)], {"pads": [1, 1, 1, 1], "strides": [2, 2]}),
    ("Conv", [floats(4, 1, 3, 3)], {"group": 4, "dilations": [2, 2], "pads": [0, 1, 2, 3]}),
    ("ConvTranspose", [floats(4, 3, 4, 4)], {"pads": [1] * 4, "strides": [2, 2]}),
    (
        "ConvTranspose",
        [floats(4, 2, 3, 3), floats(4)],
        {"group": 2, "strides": [2, 2], "output_padding": [1, 1], "pads": [1, 0, 1, 2]},
    ),
    ("DepthToSpace", [], {"blocksize": 2}),
    ("DepthToSpace", [], {"blocksize": 2, "mode": "CRD"}),
    ("Div", [floats(1, 4, 1, 1) + 9], {}),
    ("Exp", [], {}),
    ("Expand", [whole(2, 4, 6, 8)], {}),
    ("Floor", [], {}),
    ("Gather", [whole(2, 0, -1)], {"axis": 1}),
    ("Gather", [np.array(1)], {"axis": 2}),
    ("Resize", [None, np.array([1, 1, 2, 2], np.float32)], {"mode": "linear"}),
    ("GridSample", [floats(2, 5, 5, 2) * 0.7], {"mode": "bilinear"}),
    ("GridSample", [floats(2, 5, 5, 2)], {"padding_mode": "border", "align_corners": 1}),
    ("MatMul", [floats(8, 3)], {}),
    ("Max", [floats(8), floats(6, 1)], {}),
    ("MaxPool", [], {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}),
    ("Min", [floats(8)], {}),
    ("Mod", [np.float32(3)], {"fmod": 1}),
    ("Mul", [np.float32(2)], {}),
    ("Neg", [], {}),
    ("ReduceMean", [], {"axes": [2, 3]}),
    ("Greater", [floats(8)], {}),
    ("Pad", [whole(0, 0, 1, 2, 0, 0, 3, 0)], {}),
    ("Pad", [whole(0, 0, 0, -1, 0, 0, 3, 0), np.float32(2)], {}),
    ("ReduceMax", [], {"axes": [1], "keepdims": 0}),
    ("ReduceSum", [whole(1)], {"keepdims": 0}),
    ("ReduceSum", [], {}),
    ("ReduceSum", [], {"noop_with_empty_axes": 1}),
    ("ReduceSumSquare", [], {"axes": [1]}),
    ("Relu", [], {}),
    ("Reshape", [whole(0, -1, 16)], {}),
    ("Sigmoid", [], {}),
    ("Slice", [whole(1, 0), whole(9, -1), whole(1, 3), whole(2, 1)], {}),
    ("Slice", [whole(-1), whole(-(2**63)), whole(3), whole(-1)], {}),
    ("Softmax", [], {"axis": 1}),
    ("Sub", [floats(8)], {}),
    ("Squeeze", [whole(0)], {}),
    ("Tanh", [], {}),
    ("Transpose", [], {"perm": [0, 2, 3, 1]}),
    ("Transpose", [], {}),
    ("Unsqueeze", [whole(0, -1)], {}),
]


def model(operator, constants, attributes, shape, after=()):
    """A graph of one operator on ``x``, whose result is cast to float."""
    names = [None if each is None else f"c{place}" for place, each in enumerate(constants)]
    given = {name: each for name, each in zip(names, constants, strict=True) if name}
    inputs = ["x", *(name or "" for name in names)]
    nodes = [helper.make_node(operator, inputs, ["a"], **attributes), *after]
    last = after[-1].output[0] if after else "a"
    nodes.append(helper.make_node("Cast", [last], ["y"], to=1))
    graph = helper.make_graph(
        nodes,
        operator,
        [helper.make_tensor_value_info("x", 1, shape)],
        [helper.make_tensor_value_info("y", 1, None)],
        [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in given.items()],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def outputs(content, x):
    settings = BackendSettings(precision="float32")
    for backend in (TorchBackend(), get_backend("onnxruntime")):
        with backend.load(content, settings=settings) as network:
            yield network.infer({"x": x})["y"]


@pytest.mark.parametrize(("operator", "constants", "attributes"), CASES)
def test_an_operator_agrees_with_onnx_runtime(operator, constants, attributes):
    x = X[:1] if operator == "Squeeze" else X
    ours, theirs = outputs(model(operator, constants, attributes, x.shape), x)
    np.testing.assert_allclose(ours, theirs, atol=2e-5, rtol=1e-4)


def test_values_chosen_by_a_condition_agree():
    after = [helper.make_node("Where", ["a", "x", "c0"], ["chosen"])]
    content = model("Greater", [floats(8)], {}, X.shape, after)
    ours, theirs = outputs(content, X)
    np.testing.assert_array_equal(ours, theirs)


def test_parts_of_a_split_agree():
    after = [helper.make_node("Add", ["a", "b"], ["sum"])]
    content = model("Identity", [], {}, X.shape)
    graph = onnx.load_model_from_string(content)
    del graph.graph.node[:]
    graph.graph.node.extend(
        [
            helper.make_node("Split", ["x"], ["a", "b"], axis=1),
            *after,
            helper.make_node("Cast", ["sum"], ["y"], to=1),
        ]
    )
    ours, theirs = outputs(graph.SerializeToString(), X)
    np.testing.assert_allclose(ours, theirs)


@pytest.mark.parametrize("zero", [np.uint8(12), np.int8(-5)])
def test_quantisation_agrees_to_the_step(zero):
    scale = np.float32(0.03)
    for after in (
        [],
        [helper.make_node("DequantizeLinear", ["a", "c0", "c1"], ["back"])],
    ):
        ours, theirs = outputs(model("QuantizeLinear", [scale, zero], {}, X.shape, after), X)
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_each_channel_may_have_a_scale():
    scale, zero = np.float32([0.01, 0.02, 0.03, 0.04]), np.int8([0, 1, 2, 3])
    after = [helper.make_node("DequantizeLinear", ["a", "c0", "c1"], ["back"], axis=1)]
    content = model("QuantizeLinear", [scale, zero], {"axis": 1}, X.shape, after)
    ours, theirs = outputs(content, X)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)
