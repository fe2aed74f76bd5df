"""What every backend promises, checked on each one that is installed."""

import functools
import hashlib
import threading
from importlib.util import find_spec

import numpy as np
import pytest

from edgepose_runtime.backends import BackendSettings, available_backends, get_backend
from edgepose_runtime.backends.fake import FakeBackend
from edgepose_runtime.errors import BackendError, ClosedError, DeviceError, InferenceError
from edgepose_runtime.tensors import TensorSpec
from tests.servers import SmallServer

INPUTS = (
    TensorSpec("image", "uint8", ("N", 4, 4, 3)),
    TensorSpec("previous", "float32", ("N", 2, 3, 3)),
)
OUTPUTS = (
    TensorSpec("heatmaps", "float32", ("N", 2, 3, 3)),
    TensorSpec("brightness", "float32", ("N", 1, 1, 1)),
)


def expected(feeds):
    brightness = feeds["image"].astype(np.float32).mean((1, 2, 3), keepdims=True)
    return {"heatmaps": brightness + feeds["previous"], "brightness": brightness}


@pytest.fixture(scope="module")
def model():
    """The graph of ``expected``."""
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper

    def info(spec):
        kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
        return helper.make_tensor_value_info(spec.name, kind, spec.shape)

    nodes = [
        helper.make_node("Cast", ["image"], ["pixels"], to=onnx.TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["pixels"], ["brightness"], axes=[1, 2, 3]),
        helper.make_node("Add", ["brightness", "previous"], ["heatmaps"]),
    ]
    graph = helper.make_graph(nodes, "tiny", list(map(info, INPUTS)), list(map(info, OUTPUTS)))
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


@pytest.fixture(scope="module")
def server(model, tmp_path_factory):
    """A real server that has the model, in a process of its own."""
    pytest.importorskip("tritonclient.grpc")
    path = tmp_path_factory.mktemp("server") / "tiny.onnx"
    path.write_bytes(model)
    server = SmallServer(
        graph=str(path), parameters={"edgepose.sha256": hashlib.sha256(model).hexdigest()}
    )
    server.start()
    yield server
    server.kill()


REMOTE = ["triton"] if find_spec("tritonclient") else []


@pytest.fixture(params=[*available_backends(), "fake", *REMOTE])
def backend(request):
    if request.param == "fake":
        return FakeBackend(expected, INPUTS, OUTPUTS)
    return get_backend(request.param)


@pytest.fixture
def settings(backend, request):
    """Settings for the backend's device: a remote one is where its server listens."""
    remote = backend.capabilities.remote
    device = request.getfixturevalue("server").address if remote else "cpu"
    return functools.partial(BackendSettings, device=device)


@pytest.fixture
def network(backend, model, settings):
    with backend.load(model, settings=settings(precision="float32")) as network:
        yield network


def feeds(batch=1, seed=0):
    random = np.random.default_rng(seed)
    return {
        "image": random.integers(0, 256, (batch, 4, 4, 3), dtype=np.uint8),
        "previous": random.random((batch, 2, 3, 3), dtype=np.float32),
    }


def assert_right(outputs, fed):
    assert outputs.keys() == {"heatmaps", "brightness"}
    for name, wanted in expected(fed).items():
        np.testing.assert_allclose(outputs[name], wanted, rtol=1e-5)
        assert outputs[name].dtype == np.float32


def test_an_input_keeps_its_name_before_an_operator_that_does_nothing(backend):
    onnx = pytest.importorskip("onnx")
    if backend.name == "fake" or backend.capabilities.remote:
        pytest.skip("its inputs do not come from the model")
    helper = onnx.helper
    shape = onnx.numpy_helper.from_array(np.array([-1, 2, 3, 3]), "shape")
    node = helper.make_node("Reshape", ["previous", "shape"], ["a_reshaped"])
    twice = helper.make_node("Add", ["a_reshaped", "previous"], ["heatmaps"])
    kind = onnx.TensorProto.FLOAT
    infos = [
        [helper.make_tensor_value_info(name, kind, ["N", 2, 3, 3])]
        for name in ("previous", "heatmaps")
    ]
    graph = helper.make_graph([node, twice], "idle", *infos, [shape])
    opset = helper.make_opsetid("", 17)
    content = helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()
    settings = BackendSettings(precision="float32", batch=1)
    with backend.load(content, settings=settings) as network:
        assert list(network.inputs) == ["previous"]
        maps = np.ones((1, 2, 3, 3), np.float32)
        np.testing.assert_array_equal(network.infer({"previous": maps})["heatmaps"], 2)


def test_a_network_describes_itself(network):
    assert tuple(network.inputs.values()) == INPUTS
    assert tuple(network.outputs.values()) == OUTPUTS
    assert list(network.inputs) == ["image", "previous"]


def test_device_and_precision_in_use_are_reported(network, backend, settings):
    assert network.device == settings().device
    assert network.precision == "float32"
    assert "float32" in backend.capabilities.precisions
    assert backend.capabilities.remote or "cpu" in backend.capabilities.devices


def test_a_model_may_be_a_file(backend, model, tmp_path, settings):
    path = tmp_path / "tiny.onnx"
    path.write_bytes(model)
    with backend.load(path, settings=settings(precision="float32")) as network:
        assert_right(network.infer(feeds()), feeds())


@pytest.mark.parametrize("batch", [1, 2, 5])
def test_any_batch_is_computed(network, batch):
    assert_right(network.infer(feeds(batch)), feeds(batch))


def test_arrays_need_not_be_contiguous_or_writable(network):
    fed = {name: array[:, ::-1] for name, array in feeds(2).items()}
    for array in fed.values():
        array.flags.writeable = False
    assert_right(network.infer(fed), fed)


def test_outputs_are_not_touched_by_the_next_inference(network):
    first = network.infer(feeds(seed=1))
    network.infer(feeds(seed=2))
    assert_right(first, feeds(seed=1))


def test_feeds_may_change_after_the_inference(network):
    fed = feeds()
    outputs = network.infer(fed)
    fed["previous"][:] = 7
    assert_right(outputs, feeds())


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"previous": None}, r"takes the inputs 'image', 'previous', but was given 'image'\."),
        ({"extra": np.zeros(1)}, "but was given 'extra', 'image', 'previous'"),
        ({"image": np.zeros((1, 4, 4, 3))}, r"'image' takes uint8 \(N, 4, 4, 3\), .* float64"),
        ({"image": np.zeros((1, 3, 4, 4), np.uint8)}, r"given uint8 \(1, 3, 4, 4\)"),
        ({"image": np.zeros((4, 4, 3), np.uint8)}, r"given uint8 \(4, 4, 3\)"),
        ({"image": [[0]]}, r"'image' takes an array of uint8 .*, but was given a list"),
        ({"previous": np.zeros((2, 2, 3, 3), np.float32)}, r"with N = 1, .* \(2, 2, 3, 3\)"),
    ],
)
def test_feeds_that_do_not_fit_are_named(network, change, sentence):
    fed = {name: array for name, array in {**feeds(), **change}.items() if array is not None}
    with pytest.raises(InferenceError, match=sentence):
        network.infer(fed)


def test_no_samples_are_refused(network):
    with pytest.raises(InferenceError, match=r"given uint8 \(0, 4, 4, 3\)"):
        network.infer({name: array[:0] for name, array in feeds().items()})


def test_a_fixed_batch_takes_no_other(backend, model, settings):
    with backend.load(model, settings=settings(precision="float32", batch=2)) as network:
        assert network.inputs["image"].shape == (2, 4, 4, 3)
        assert_right(network.infer(feeds(2)), feeds(2))
        with pytest.raises(InferenceError, match=r"takes uint8 \(2, 4, 4, 3\)"):
            network.infer(feeds(1))


def test_threads_may_share_a_network(network):
    failures = []
    together = threading.Barrier(4)

    def work(seed):
        together.wait()
        for step in range(50):
            fed = feeds(batch=1 + seed % 2, seed=seed * 1000 + step)
            try:
                assert_right(network.infer(fed), fed)
            except AssertionError as error:
                failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_a_closed_network_refuses_to_infer(network):
    network.close()
    network.close()
    with pytest.raises(ClosedError, match="was closed"):
        network.infer(feeds())


def test_a_device_that_is_not_there_is_refused(backend, model):
    has = f"{backend.name} has no device 'tpu'.* it has {backend.capabilities.devices[0]}"
    with pytest.raises(DeviceError, match=has):
        backend.load(model, settings=BackendSettings(device="tpu"))


def test_a_precision_that_is_not_there_is_refused(backend, model, settings):
    missing = {"float16", "bfloat16"} - set(backend.capabilities.precisions)
    for precision in missing:
        with pytest.raises(DeviceError, match=f"cannot compute in {precision}; it can in float32"):
            backend.load(model, settings=settings(precision=precision))


def test_num_threads_is_taken(backend, model, settings):
    with backend.load(model, settings=settings(precision="float32", num_threads=1)) as network:
        assert_right(network.infer(feeds()), feeds())


@pytest.mark.parametrize("content", [b"", b"no model at all " * 9])
@pytest.mark.parametrize("name", available_backends())
def test_what_is_no_model_is_refused(name, content, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(BackendError, match=r"model .*broken\.onnx.* cannot be used"):
        get_backend(name).load(path, settings=BackendSettings())
    with pytest.raises(BackendError, match="model given as bytes cannot be used"):
        get_backend(name).load(content, settings=BackendSettings())


@pytest.mark.parametrize("name", available_backends())
def test_nothing_is_written_unless_asked(name, model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with get_backend(name).load(model, settings=BackendSettings()) as network:
        network.infer(feeds())
    assert not list(tmp_path.iterdir())
