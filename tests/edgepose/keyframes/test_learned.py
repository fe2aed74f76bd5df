import numpy as np
import pytest

from edgepose.keyframes.learned import LearnedSteps, selection
from edgepose.keyframes.selecting import EvenSteps
from edgepose_runtime.errors import BundleFormatError, BundleNotFoundError, ConfigError

onnx = pytest.importorskip("onnx")


def write(path, output="rates"):
    """Write a selector whose rate is the mean grey of a frame of 8 pixels."""
    helper, kinds = onnx.helper, onnx.TensorProto
    nodes = [
        helper.make_node("Cast", ["images"], ["grey"], to=kinds.FLOAT),
        helper.make_node("ReduceMean", ["grey"], [output], axes=[1, 2, 3], keepdims=0),
    ]
    images = helper.make_tensor_value_info("images", kinds.UINT8, ["N", 8, 8, 3])
    rates = helper.make_tensor_value_info(output, kinds.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "selector", [images], [rates])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


@pytest.fixture
def learned(tmp_path):
    with LearnedSteps(write(tmp_path / "selector.onnx")) as opened:
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


def test_other_files_are_refused(tmp_path):
    with pytest.raises(BundleNotFoundError, match=r"missing\.onnx"):
        LearnedSteps(tmp_path / "missing.onnx")
    with pytest.raises(BundleFormatError, match="no selector"):
        LearnedSteps(write(tmp_path / "other.onnx", output="poses"))


def test_without_a_file_even_steps_choose(tmp_path):
    with selection(None) as (select, _):
        assert isinstance(select, EvenSteps)
    with selection(write(tmp_path / "selector.onnx")) as (select, describe):
        assert isinstance(select, LearnedSteps)
        assert describe(np.zeros((24, 32, 3), np.uint8)).shape == (192,)
