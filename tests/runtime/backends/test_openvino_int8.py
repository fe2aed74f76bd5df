"""What OpenVINO makes of int8 with a zero point of 0."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgepose_runtime.backends import BackendSettings, get_backend

pytest.importorskip("openvino")

SCALE = np.float32(0.5)
HIGHEST = 127 * SCALE


def quantised(*before, kind=np.int8):
    """A graph of these nodes from x to r, then int8, then a product with 1, which keeps values."""
    constants = {
        "scale": SCALE,
        "zero": kind(0),
        "low": np.float32(0),
        "high": np.float32(6),
        "below": np.float32(-6),
        "weight": np.ones((1, 1, 1, 1), np.float32),
    }
    nodes = [
        *before,
        helper.make_node("QuantizeLinear", ["r", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("Conv", ["d", "weight"], ["y"]),
    ]
    shape = [1, 1, 1, 256]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString()


def rounded(graph, values):
    settings = BackendSettings(precision="float32", num_threads=1)
    with get_backend("openvino").load(graph, settings=settings) as network:
        return network.infer({"x": values.reshape(1, 1, 1, -1)})["y"].ravel()


VALUES = np.linspace(-HIGHEST, HIGHEST, 256, dtype=np.float32)


@pytest.mark.parametrize(
    "before",
    [
        [helper.make_node("Relu", ["x"], ["r"])],
        [helper.make_node("Clip", ["x", "low"], ["r"])],
    ],
)
def test_values_that_are_never_negative_get_twice_as_many_steps(before):
    expected = np.maximum(VALUES, 0)
    errors = np.abs(rounded(quantised(*before), VALUES) - expected)
    step = HIGHEST / 255
    assert errors.max() <= step / 2 + 1e-4
    assert errors[-1] < 1e-4, "the range ends where it did"


@pytest.mark.parametrize(
    "before",
    [
        [helper.make_node("Identity", ["x"], ["r"])],
        [helper.make_node("Clip", ["x", "below", "high"], ["r"])],
        # All in all what it was given, though one of the two is never negative.
        [helper.make_node("Relu", ["x"], ["s"]), helper.make_node("Min", ["s", "x"], ["r"])],
        [helper.make_node("Clip", ["x", "low"], ["s"]), helper.make_node("Min", ["s", "x"], ["r"])],
    ],
)
def test_values_that_may_be_negative_keep_their_steps(before):
    expected = np.clip(VALUES, -6, 6) if "below" in before[0].input else VALUES
    found = rounded(quantised(*before), VALUES)
    np.testing.assert_allclose(found, np.round(expected / SCALE) * SCALE, atol=SCALE * 0.51)
    assert found.min() < -5


def test_steps_finer_than_those_of_int8_stay_as_they_are():
    relu = helper.make_node("Relu", ["x"], ["r"])
    found = rounded(quantised(relu, kind=np.int16), np.array([0.5, 1000.5] * 128, np.float32))
    np.testing.assert_array_equal(found[:2], [0.5, 1000.5])


@pytest.mark.parametrize(
    ("machine", "gains"), [("x86_64", True), ("AMD64", True), ("aarch64", False), ("arm64", False)]
)
def test_arm_keeps_signed_steps(machine, gains, monkeypatch):
    monkeypatch.setattr("platform.machine", lambda: machine)
    relu = helper.make_node("Relu", ["x"], ["r"])
    expected = np.maximum(VALUES, 0)
    errors = np.abs(rounded(quantised(relu), VALUES) - expected)
    assert (errors.max() <= HIGHEST / 255 / 2 + 1e-4) == gains


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_quantised_layers_round_in_floating_point_where_int8_is_not_wanted(backend):
    pytest.importorskip(backend)
    graph = quantised(helper.make_node("Identity", ["x"], ["r"]))
    settings = BackendSettings(precision="float32", num_threads=1, quantised=False)
    with get_backend(backend).load(graph, settings=settings) as network:
        found = network.infer({"x": VALUES.reshape(1, 1, 1, -1)})["y"].ravel()
        assert network.precision == "float32"
    np.testing.assert_allclose(found, np.round(VALUES / SCALE) * SCALE, atol=SCALE * 0.51)
