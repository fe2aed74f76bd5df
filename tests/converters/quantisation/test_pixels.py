"""Pixels that go into the first convolution as int8."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgepose_converters.export.verification import synthetic_crops
from edgepose_converters.quantisation.cleaning import cleaned, initialisers, producers
from edgepose_converters.quantisation.pixels import centre_pixels
from edgepose_converters.quantisation.post_training import quantised
from edgepose_converters.quantisation.probing import relative_error, run_graph

MEAN_COLOUR = (104, 116, 124)
FEEDS = [
    {"image": crop[None], "previous": np.random.default_rng(i).random((1, 13, 8, 8), np.float32)}
    for i, crop in enumerate(synthetic_crops(32, 4))
]


@pytest.fixture
def model(float_bundle):
    return cleaned(float_bundle.graph_path("step").read_bytes())


@pytest.fixture
def centred(model):
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    centre_pixels(copy.graph)
    return copy


def framed(picture):
    """A picture in a frame of grey, which is what both forms see outside of it, or nearly."""
    picture = picture.copy()
    picture[:, :4] = picture[:, -4:] = picture[:4] = picture[-4:] = MEAN_COLOUR
    return picture


def test_the_convolution_takes_pixels_less_128_and_finds_the_same(model, centred):
    onnx.checker.check_model(centred, full_check=True)
    assert [node.op_type for node in centred.graph.node[:4]] == ["Cast", "Sub", "Transpose", "Conv"]
    feeds = [{**feed, "image": framed(feed["image"][0])[None]} for feed in FEEDS]
    maps = [run_graph(each.SerializeToString(), feeds, "openvino") for each in (model, centred)]
    assert relative_error(*maps) < 0.02


def test_int8_holds_pixels_exactly(centred):
    int8 = quantised(centred, FEEDS[:1])
    stored, made_by = initialisers(int8.graph), producers(int8.graph)
    (pixels,) = [
        node
        for node in int8.graph.node
        if node.op_type == "QuantizeLinear"
        and made_by[node.input[0]].op_type in ("Sub", "Transpose")
    ]
    assert numpy_helper.to_array(stored[pixels.input[1]]) == 1
    assert numpy_helper.to_array(stored[pixels.input[2]]) == 0


def test_a_graph_that_uses_normalised_pixels_elsewhere_stays_as_it_is(model):
    names = [node.output[0] for node in model.graph.node if node.op_type == "Gather"]
    model.graph.node.append(helper.make_node("Identity", names[:1], ["view"]))
    model.graph.output.append(helper.make_tensor_value_info("view", 1, None))
    before = model.SerializeToString()
    centre_pixels(model.graph)
    assert model.SerializeToString() == before
