import numpy as np
import pytest

from edgepose.offline.learned_selector import LearnedSelector, selection
from edgepose.offline.selection import ChangeSelector
from edgepose_runtime.errors import (
    BundleFormatError,
    BundleNotFoundError,
    ConfigError,
    InferenceError,
)

onnx = pytest.importorskip("onnx")


def write(path, output="rates", last="Abs", shape=("N", 8, 8, 3)):
    """Write a selector whose rate is the mean grey of a frame of 8 pixels, or a function of it."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["pixels"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["grey"], axes=[1, 2, 3], keepdims=0),
        helper.make_node(last, ["grey"], [output]),
    ]
    images = helper.make_tensor_value_info("images", kinds.UINT8, shape)
    rates = helper.make_tensor_value_info(output, kinds.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "selector", [images], [rates])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture
def learned(tmp_path):
    with LearnedSelector(write(tmp_path / "selector.onnx")) as opened:
        yield opened


def described(learned, greys):
    return np.stack([learned.describe(np.full((24, 32, 3), grey, np.uint8)) for grey in greys])


def test_key_frames_are_closer_where_the_rate_is_higher(learned):
    features = described(learned, [10] * 20 + [90] * 20)
    chosen = learned(features, 10)
    assert len(chosen) == 10
    assert sum(frame >= 20 for frame in chosen) == 9


def test_a_free_number_is_a_quarter(learned):
    assert len(learned(described(learned, [50] * 40))) == 10


def test_no_more_frames_are_chosen_than_there_are(learned):
    assert learned(described(learned, [50] * 3), 9) == [0, 1, 2]


@pytest.mark.parametrize(("frames", "count"), [(0, None), (3, 0)])
def test_nothing_to_choose_is_an_error(learned, frames, count):
    features = np.zeros((frames, 192), np.float32)
    with pytest.raises(ConfigError, match="cannot choose"):
        learned(features, count)


def test_in_the_dark_key_frames_have_even_distances(learned):
    assert learned(described(learned, [0] * 40), 8) == list(range(2, 40, 5))


@pytest.mark.parametrize("last", ["Neg", "Log"])
def test_what_is_no_rate_is_an_error(tmp_path, last):
    with LearnedSelector(write(tmp_path / "selector.onnx", last=last)) as opened:
        features = described(opened, [0, 50, 90, 50, 0])
        with pytest.raises(InferenceError, match=r"selector\.onnx.*no rates"):
            opened(features, 2)


@pytest.mark.parametrize(
    "changes",
    [
        {"output": "poses"},
        {"shape": ("N", 8, 6, 3)},
        {"shape": ("N", 8, 8, 1)},
        {"shape": ("N", "S", "S", 3)},
    ],
)
def test_other_networks_are_refused(tmp_path, changes):
    with pytest.raises(BundleFormatError, match="is no selector"):
        LearnedSelector(write(tmp_path / "other.onnx", **changes))


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_a_file_that_is_cut_off_is_refused(tmp_path, backend):
    path = write(tmp_path / "selector.onnx")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(BundleFormatError, match=rf"no ONNX file that {backend} can run"):
        LearnedSelector(path, backend)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(BundleNotFoundError, match=r"missing\.onnx"):
        LearnedSelector(tmp_path / "missing.onnx")


def test_without_a_file_even_steps_choose(tmp_path):
    with selection(None) as (select, _):
        assert isinstance(select, ChangeSelector)
    with selection(write(tmp_path / "selector.onnx")) as (select, describe):
        assert isinstance(select, LearnedSelector)
        assert describe(np.zeros((24, 32, 3), np.uint8)).shape == (192,)
