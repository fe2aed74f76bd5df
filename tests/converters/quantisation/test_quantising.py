"""One graph: cleaned, quantised, made portable, with some layers float."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgepose_converters.export.verification import synthetic_crops
from edgepose_converters.quantisation.cleaning import cleaned, initialisers, producers
from edgepose_converters.quantisation.layers import (
    quantised_layers,
    weighted_layers,
    with_float_layers,
)
from edgepose_converters.quantisation.post_training import quantised
from edgepose_converters.quantisation.probing import Probe, relative_error, run_graph
from edgepose_converters.quantisation.sensitivity import SearchSettings, sensitive_layers
from edgepose_converters.quantisation.symmetric import make_portable
from edgepose_runtime.errors import BackendError

FEEDS = [
    {"image": crop[None], "previous": np.random.default_rng(i).random((1, 13, 8, 8), np.float32)}
    for i, crop in enumerate(synthetic_crops(32, 12))
]


@pytest.fixture
def graph(float_bundle):
    return float_bundle.graph_path("step").read_bytes()


@pytest.fixture
def model(graph):
    return cleaned(graph)


@pytest.fixture
def int8(model):
    return quantised(model, FEEDS[:8])


def test_a_clean_graph_computes_the_same_and_casts_pixels_first(graph, model):
    assert (
        relative_error(
            *(run_graph(g, FEEDS, "onnxruntime") for g in (model.SerializeToString(), graph))
        )
        < 1e-6
    )
    (user,) = [node for node in model.graph.node if "image" in node.input]
    assert user.op_type == "Cast"
    assert not {"Constant"} & {node.op_type for node in model.graph.node}
    assert not any(t.data_type == TensorProto.FLOAT16 for t in model.graph.initializer)


def test_layers_are_int8_per_tensor_with_a_zero_point_of_zero(model, int8):
    layers = [layer.name for layer in weighted_layers(model)]
    behind_concat = "/ppu/stem/stem.0/Conv"  # which OpenVINO gets wrong in int8
    assert quantised_layers(int8) == [name for name in layers if name != behind_concat]
    stored, made_by = initialisers(int8.graph), producers(int8.graph)
    for node in int8.graph.node:
        if node.op_type == "QuantizeLinear":
            assert stored[node.input[1]].dims in ([], [1])
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            zeros = numpy_helper.to_array(stored[node.input[2]])
            assert zeros.dtype == np.int8
            assert not zeros.any()
    sums = [n for n in int8.graph.node if n.op_type == "Add" and set(n.input) & set(stored)]
    assert sums, "the sampling grid's own"
    for node in sums:
        assert not any(
            made_by[name].op_type == "DequantizeLinear" for name in node.input if name in made_by
        ), "coordinates stay float"


@pytest.mark.parametrize(("activation", "kinds"), [("Relu", {"DequantizeLinear"}), ("SiLU", set())])
def test_a_sum_is_int8_unless_its_terms_are_computed_in_float(activation, kinds):
    int8 = quantised(residual(activation), [{"image": np.ones((1, 4, 8, 8), np.float32)}])
    made_by = producers(int8.graph)
    (total,) = [node for node in int8.graph.node if node.op_type == "Add"]
    sources = {made_by[name].op_type for name in total.input}
    assert sources & {"DequantizeLinear"} == kinds


def residual(activation):
    """A block of a residual network: a convolution, an activation, and a sum with its input."""
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "w"], ["x"], "first", pads=[1, 1, 1, 1]),
            helper.make_node("Conv", ["x", "w"], ["y"], "second", pads=[1, 1, 1, 1]),
            *(
                [helper.make_node("Relu", ["y"], ["z"], "relu")]
                if activation == "Relu"
                else [
                    helper.make_node("Sigmoid", ["y"], ["s"], "sigmoid"),
                    helper.make_node("Mul", ["y", "s"], ["z"], "product"),
                ]
            ),
            helper.make_node("Add", ["x", "z"], ["sum"], "sum"),
            helper.make_node("Conv", ["sum", "w"], ["heatmaps"], "last", pads=[1, 1, 1, 1]),
        ],
        "residual",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 4, 8, 8])],
        [helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, [1, 4, 8, 8])],
        [numpy_helper.from_array(np.ones((4, 4, 3, 3), np.float32), "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_runtimes_agree_on_the_int8_graph_and_with_the_float_one(graph, int8):
    content = int8.SerializeToString()
    maps = {name: run_graph(content, FEEDS, name) for name in ("openvino", "onnxruntime")}
    reference = run_graph(graph, FEEDS, "openvino")
    assert relative_error(maps["openvino"], maps["onnxruntime"]) < 0.05
    assert relative_error(maps["openvino"], reference) < 0.1


def test_the_result_does_not_depend_on_chance(model, int8):
    assert quantised(model, FEEDS[:8]).SerializeToString() == int8.SerializeToString()


def test_layers_get_back_their_float_form(graph, model, int8):
    names = quantised_layers(int8)
    kept = with_float_layers(int8, model, names[:1])
    assert quantised_layers(kept) == names[1:]
    onnx.checker.check_model(kept, full_check=True)
    none = with_float_layers(int8, model, names)
    assert quantised_layers(none) == []
    assert Probe(graph, FEEDS[8:]).error(none.SerializeToString()) < Probe(graph, FEEDS[8:]).error(
        int8.SerializeToString()
    )


class Scripted:
    """A probe whose errors are made up: each float layer takes away what it is worth."""

    def __init__(self, worth):
        self.worth, self.trials = worth, 0

    def error(self, content):
        self.trials += 1
        left = set(quantised_layers(onnx.load_model_from_string(content)))
        return 1.0 - sum(value for name, value in self.worth.items() if name not in left)


def test_layers_that_gain_enough_and_cost_little_stay_float(model, int8):
    work = {layer.name: layer.work for layer in weighted_layers(model)}
    cheap = sorted(quantised_layers(int8), key=work.__getitem__)
    probe = Scripted({cheap[0]: 0.1, cheap[1]: 0.3, cheap[2]: 0.001, cheap[-1]: 0.5})
    settings = SearchSettings(work=sum(work[n] for n in cheap[:3]) / sum(work.values()) + 1e-6)
    chosen = sensitive_layers(int8, model, probe, settings)
    assert set(chosen) == {cheap[0], cheap[1]}
    assert chosen == [name for name in work if name in chosen], "in the order they run"
    assert probe.trials <= settings.trials


def test_the_search_ends_after_so_many_trials(model, int8):
    probe = Scripted(dict.fromkeys(quantised_layers(int8), 0.05))
    sensitive_layers(int8, model, probe, SearchSettings(trials=5))
    assert probe.trials == 5


def test_only_candidates_are_given_back(model, int8):
    first, second, *_ = quantised_layers(int8)
    probe = Scripted({first: 0.4, second: 0.4})
    everything = SearchSettings(work=1.0)
    assert sensitive_layers(int8, model, probe, everything, candidates=[second]) == [second]
    probe.trials = 0
    assert sensitive_layers(int8, model, probe, everything, candidates=[]) == []
    assert probe.trials == 0


SHUFFLE = "DepthToSpace", {"blocksize": 2}, (2, 8)
POOL = "MaxPool", {"kernel_shape": [2, 2], "strides": [2, 2]}, (8, 2)


def moved(zero, mover=SHUFFLE):
    """ReLU, quantise, dequantise and what moves values, as a quantiser places them."""
    kind, options, (channels, side) = mover
    scale = numpy_helper.from_array(np.float32(0.02), "scale")
    point = numpy_helper.from_array(zero, "zero")
    info = helper.make_tensor_value_info
    nodes = [
        helper.make_node("Relu", ["x"], ["r"]),
        helper.make_node("QuantizeLinear", ["r", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node(kind, ["d"], ["heatmaps"], **options),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [info("x", TensorProto.FLOAT, ["N", 8, 4, 4])],
        [info("heatmaps", TensorProto.FLOAT, ["N", channels, side, side])],
        [scale, point],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


@pytest.mark.parametrize("mover", [SHUFFLE, POOL])
def test_unsigned_activations_become_int8_of_the_same_range_behind_what_moves_them(mover):
    model = moved(np.uint8(0), mover)
    before = model.SerializeToString()
    make_portable(model)
    kinds = [node.op_type for node in model.graph.node]
    assert kinds == ["Relu", mover[0], "QuantizeLinear", "DequantizeLinear"]
    feeds = [{"x": np.random.default_rng(0).uniform(-1, 5, (1, 8, 4, 4)).astype(np.float32)}]
    contents = before, model.SerializeToString()
    maps = [run_graph(content, feeds, "onnxruntime")["heatmaps"] for content in contents]
    assert np.abs(maps[0] - maps[1]).max() <= 0.51 * 0.02 * (1 + 255 / 127)


def test_a_zero_point_cannot_be_made_portable():
    with pytest.raises(BackendError, match="zero point 'zero' that is not 0"):
        make_portable(moved(np.uint8(3)))
