"""Channels of unlike ranges in front of convolutions."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgepose_converters.quantisation.cleaning import initialisers
from edgepose_converters.quantisation.equalisation import LEAST_SPREAD, equalise_channels
from edgepose_converters.quantisation.layers import quantised_layers
from edgepose_converters.quantisation.post_training import quantised
from edgepose_converters.quantisation.probing import relative_error, run_graph

CHANNELS, SIZE = 8, 16
RNG = np.random.default_rng(0)
FEEDS = [{"image": RNG.normal(size=(1, 3, SIZE, SIZE)).astype(np.float32)} for _ in range(4)]


def two_layers(spread, *, depthwise):
    """Two convolutions; a channel between them is so many times as large as it counts for."""
    first = RNG.normal(size=(CHANNELS, 3, 3, 3)).astype(np.float32)
    second = RNG.normal(size=(CHANNELS, 1 if depthwise else CHANNELS, 3, 3)).astype(np.float32)
    first[0] *= spread
    second[(0,) if depthwise else (slice(None), 0)] /= spread
    pads, group = [1, 1, 1, 1], CHANNELS if depthwise else 1
    nodes = [
        helper.make_node("Conv", ["image", "w1", "b1"], ["made"], "first", pads=pads),
        helper.make_node("Relu", ["made"], ["feature"]),
        helper.make_node(
            "Conv", ["feature", "w2", "b2"], ["heatmaps"], "second", pads=pads, group=group
        ),
    ]
    zeros = np.zeros(CHANNELS, np.float32)
    stored = {"w1": first, "b1": zeros, "w2": second, "b2": zeros}
    graph = helper.make_graph(
        nodes,
        "two_layers",
        [helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, SIZE, SIZE])],
        [
            helper.make_tensor_value_info(
                "heatmaps", onnx.TensorProto.FLOAT, [1, CHANNELS, SIZE, SIZE]
            )
        ],
        [numpy_helper.from_array(values, name) for name, values in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def maps(model):
    return run_graph(model.SerializeToString(), FEEDS, "onnxruntime")


def int8_error(model, wanted):
    int8 = quantised(model, FEEDS)
    assert quantised_layers(int8) == ["first", "second"]
    return relative_error(maps(int8), wanted)


@pytest.mark.parametrize("depthwise", [False, True], ids=["dense", "depthwise"])
def test_the_result_is_the_same_and_int8_comes_much_closer_to_it(depthwise):
    model = two_layers(60.0, depthwise=depthwise)
    wanted = maps(model)
    before = int8_error(model, wanted)
    assert equalise_channels(model, FEEDS) == ["second"]
    onnx.checker.check_model(model, full_check=True)
    assert relative_error(maps(model), wanted) < 1e-5
    assert int8_error(model, wanted) < 0.25 * before


def test_channels_that_are_alike_are_left_alone():
    model = two_layers(0.5 * LEAST_SPREAD, depthwise=False)
    before = model.SerializeToString()
    assert equalise_channels(model, FEEDS) == []
    assert model.SerializeToString() == before


def test_layers_that_are_to_be_left_are_left():
    model = two_layers(60.0, depthwise=False)
    assert equalise_channels(model, FEEDS, left=["second"]) == []


def test_weights_that_two_layers_share_are_left():
    model = two_layers(60.0, depthwise=False)
    model.graph.node[-1].output[0] = "between"
    add_layer(model, ["between", "w2", "b2"], "heatmaps")
    wanted = maps(model)
    assert equalise_channels(model, FEEDS) == []
    assert relative_error(maps(model), wanted) < 1e-5


@pytest.mark.parametrize(("groups", "changed"), [(CHANNELS, ["second", "third"]), (2, ["second"])])
def test_layers_of_other_groups_may_take_the_same_feature(groups, changed):
    model = two_layers(60.0, depthwise=False)
    model.graph.node[-1].output[0] = "dense"
    weights = RNG.normal(size=(CHANNELS, CHANNELS // groups, 3, 3)).astype(np.float32)
    model.graph.initializer.append(numpy_helper.from_array(weights, "w3"))
    add_layer(model, ["feature", "w3", "b2"], "grouped", group=groups)
    model.graph.node.append(helper.make_node("Add", ["dense", "grouped"], ["heatmaps"], "add"))
    wanted = maps(model)
    assert equalise_channels(model, FEEDS) == changed
    assert relative_error(maps(model), wanted) < 1e-5


def add_layer(model, inputs, output, **attributes):
    node = helper.make_node("Conv", inputs, [output], "third", pads=[1, 1, 1, 1], **attributes)
    model.graph.node.append(node)


def test_a_feature_or_weights_of_zeros_make_no_factors_without_bounds():
    for name in ("w1", "w2"):
        model = two_layers(60.0, depthwise=False)
        empty = initialisers(model.graph)[name]
        zeros = np.zeros_like(numpy_helper.to_array(empty))
        empty.CopyFrom(numpy_helper.from_array(zeros, name))
        equalise_channels(model, FEEDS)
        assert not maps(model)["heatmaps"].any()  # NaN would count


def test_a_channel_that_is_always_zero_gets_a_finite_factor():
    model = two_layers(60.0, depthwise=True)
    first = initialisers(model.graph)["w1"]
    values = numpy_helper.to_array(first).copy()
    values[3] = 0
    first.CopyFrom(numpy_helper.from_array(values, first.name))
    wanted = maps(model)
    equalise_channels(model, FEEDS)
    found = maps(model)
    assert np.isfinite(found["heatmaps"]).all()
    assert relative_error(found, wanted) < 1e-5
