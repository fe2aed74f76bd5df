import numpy as np
import pytest

from edgepose_runtime.backends import BackendSettings, get_backend
from edgepose_runtime.backends.onnx_checks import read_checked
from edgepose_runtime.errors import BackendError

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402


def model(nodes, weights=(), output="out"):
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 4])
    out = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "graph", [image], [out], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def shape(*sides):
    return numpy_helper.from_array(np.array(sides, np.int64), "shape")


def sums(made):
    """Use a tensor, so that nobody leaves it out."""
    largest = helper.make_node("ReduceMax", [made], ["one"], keepdims=0)
    return [largest, helper.make_node("Add", ["image", "one"], ["out"])]


def fine():
    return model(sums("w"), [numpy_helper.from_array(np.ones(3, np.float32), "w")])


def external():
    made = fine()
    weights = made.graph.initializer[0]
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    weights.external_data.add(key="location", value="weights.bin")
    return made


def more_declared_than_there():
    made = fine()
    made.graph.initializer[0].dims[:] = [100_000]
    return made


def sparse():
    made = fine()
    made.graph.sparse_initializer.add().dims.extend([1 << 40])
    return made


def constant_of_shape():
    return model(
        [helper.make_node("ConstantOfShape", ["shape"], ["w"]), *sums("w")], [shape(80_000, 80_000)]
    )


def shape_in_a_node():
    constant = helper.make_node("Constant", [], ["shape"], value=shape(80_000, 80_000))
    return model([constant, helper.make_node("ConstantOfShape", ["shape"], ["w"]), *sums("w")])


def expanded():
    return model(
        [helper.make_node("Expand", ["image", "shape"], ["w"]), *sums("w")],
        [shape(80_000, 80_000, 4)],
    )


def huge_weights():
    made = fine()
    made.graph.initializer[0].dims[:] = [1 << 20, 1 << 20]
    return made


REFUSED = {
    external: "another file",
    more_declared_than_there: "more weights than it has",
    sparse: "sparse",
    constant_of_shape: "ConstantOfShape makes a tensor of 6.4e\\+09",
    shape_in_a_node: "ConstantOfShape makes a tensor",
    expanded: "Expand makes a tensor",
    huge_weights: "declares weights of 1.1e\\+12",
}


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
@pytest.mark.parametrize(("make", "sentence"), REFUSED.items(), ids=[f.__name__ for f in REFUSED])
def test_a_model_that_harms_is_refused_before_it_is_loaded(backend, make, sentence, tmp_path):
    pytest.importorskip(backend)
    file = tmp_path / "model.onnx"
    file.write_bytes(make().SerializeToString())
    (tmp_path / "weights.bin").write_bytes(np.ones(3, np.float32).tobytes())
    with pytest.raises(BackendError, match=sentence):
        get_backend(backend).load(file, settings=BackendSettings())


@pytest.mark.parametrize("name", [b"\xff\xfe", b"im\xe4ge"])
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_names_that_are_not_utf8_are_refused(backend, name):
    content = fine().SerializeToString().replace(b"image", name.ljust(5, b"x"))
    with pytest.raises(BackendError, match="cannot be used: 'utf-8' codec"):
        get_backend(backend).load(content, settings=BackendSettings())


def test_a_size_that_the_graph_computes_is_refused_before_it_is_compiled():
    nodes = [
        helper.make_node("Mul", ["shape", "shape"], ["squared"]),
        helper.make_node("ConstantOfShape", ["squared"], ["w"]),
        *sums("w"),
    ]
    content = model(nodes, [shape(300, 300)]).SerializeToString()
    with pytest.raises(BackendError, match=r"makes a tensor of 8.1e\+09"):
        get_backend("openvino").load(content, settings=BackendSettings())


def test_a_model_is_read_whole_and_unchanged(tmp_path):
    content = fine().SerializeToString()
    assert read_checked(content) == content
    (tmp_path / "a\udcff.onnx").write_bytes(content)
    assert read_checked(tmp_path / "a\udcff.onnx") == content


def test_every_file_that_was_cut_off_is_an_error():
    content = fine().SerializeToString()
    for length in range(len(content) - 10):
        with pytest.raises(BackendError):
            read_checked(content[:length])


def test_no_mutant_is_anything_else_than_read_or_refused():
    random = np.random.default_rng(1)
    content = np.frombuffer(fine().SerializeToString(), np.uint8)
    for _ in range(2000):
        mutant = content.copy()
        mutant[random.integers(len(mutant), size=3)] = random.integers(256, size=3)
        try:
            read_checked(mutant.tobytes())
        except BackendError as error:
            assert "cannot be used" in str(error)
