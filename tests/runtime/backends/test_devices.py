"""What is in use is said as it is, and what is missing with the way to mend it."""

from types import SimpleNamespace

import numpy as np
import pytest

from edgepose_runtime.backends import BackendSettings, available_backends, get_backend
from edgepose_runtime.backends import onnxruntime as ort
from edgepose_runtime.errors import DeviceError


@pytest.fixture(scope="module")
def quantised():
    """Two convolutions between QuantizeLinear and DequantizeLinear."""
    onnx = pytest.importorskip("onnx")
    helper, kinds = onnx.helper, onnx.TensorProto
    random = np.random.default_rng(0)
    constants = {
        "scale": np.float32(0.05),
        "zero": np.uint8(0),
        "weight_scale": np.float32(0.01),
        "weight_zero": np.int8(0),
        "first": random.integers(-127, 128, (16, 3, 3, 3), dtype=np.int8),
        "second": random.integers(-127, 128, (16, 16, 3, 3), dtype=np.int8),
    }

    def quantise(source, target):
        yield helper.make_node("QuantizeLinear", [source, "scale", "zero"], [f"{target}_q"])
        yield helper.make_node("DequantizeLinear", [f"{target}_q", "scale", "zero"], [target])

    def convolve(source, weights, target):
        floats, scale = f"{weights}_float", ["weight_scale", "weight_zero"]
        yield helper.make_node("DequantizeLinear", [weights, *scale], [floats])
        yield helper.make_node("Conv", [source, floats], [target], pads=[1] * 4)

    nodes = [
        *quantise("image", "a"),
        *convolve("a", "first", "b"),
        helper.make_node("Relu", ["b"], ["c"]),
        *quantise("c", "d"),
        *convolve("d", "second", "heatmaps"),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "quantised",
        [info("image", kinds.FLOAT, ("N", 3, 32, 32))],
        [info("heatmaps", kinds.FLOAT, ("N", 16, 32, 32))],
        [onnx.numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


@pytest.fixture(scope="module")
def floating():
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    info = [helper.make_tensor_value_info(name, 1, ("N", 4)) for name in "xy"]
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "f", info[:1], info[1:])
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


@pytest.mark.parametrize("name", available_backends())
@pytest.mark.parametrize("precision", ["float32", "auto", "int8"])
def test_a_quantised_model_computes_in_int8_whatever_its_float_layers_do(
    name, precision, quantised
):
    backend = get_backend(name)
    if "int8" not in backend.capabilities.precisions:
        pytest.skip(f"{name} has no int8 here")
    with backend.load(quantised, settings=BackendSettings(precision=precision)) as network:
        assert network.precision.startswith("int8+")
        if precision == "float32":
            assert network.precision == "int8+float32"


@pytest.mark.parametrize("name", available_backends())
def test_int8_is_refused_for_a_model_that_is_not_quantised(name, floating):
    backend = get_backend(name)
    if "int8" not in backend.capabilities.precisions:
        pytest.skip(f"{name} has no int8 here")
    with pytest.raises(DeviceError, match=r"not in int8: its model is not .* 'edgepose convert'"):
        backend.load(floating, settings=BackendSettings(precision="int8"))
    with backend.load(floating, settings=BackendSettings(precision="float32")) as network:
        assert network.precision == "float32"


@pytest.mark.parametrize(
    ("name", "device", "fix"),
    [
        ("openvino", "gpu", "intel-opencl-icd"),
        ("openvino", "gpu.1", "intel-opencl-icd"),
        ("openvino", "npu", "linux-npu-driver"),
        ("openvino", "tensorrt", "backend onnxruntime, as device 'cuda' or 'tensorrt'"),
        ("onnxruntime", "cuda", "pip install onnxruntime-gpu"),
        ("onnxruntime", "tensorrt", "pip install tensorrt"),
        ("onnxruntime", "gpu", "'cuda' and 'tensorrt'"),
    ],
)
def test_a_missing_device_comes_with_what_to_do(name, device, fix, floating):
    pytest.importorskip(name)
    backend = get_backend(name)
    if device in backend.capabilities.devices:
        pytest.skip(f"this machine has {device}")
    with pytest.raises(DeviceError, match=f"has no device '{device}' .*{fix}"):
        backend.load(floating, settings=BackendSettings(device=device))


class Session:
    """A session that ONNX Runtime gave to some providers."""

    def __init__(self, providers, assigned=None):
        self._providers = providers
        if assigned is not None:
            graphs = [SimpleNamespace(ep_name=name) for name in assigned]
            self.get_provider_graph_assignment_info = lambda: graphs

    def get_providers(self):
        return self._providers


TENSORRT, CUDA, CPU = (f"{n}ExecutionProvider" for n in ("Tensorrt", "CUDA", "CPU"))


@pytest.mark.parametrize(
    ("session", "device"),
    [
        (Session([TENSORRT, CUDA, CPU], [TENSORRT]), "tensorrt"),
        (Session([TENSORRT, CUDA, CPU], [TENSORRT, CUDA, TENSORRT]), "tensorrt+cuda"),
        (Session([TENSORRT, CUDA, CPU], [CPU, CUDA, TENSORRT]), "tensorrt+cpu+cuda"),
        (Session([TENSORRT, CUDA, CPU]), "tensorrt"),  # a version that does not say more
    ],
)
def test_layers_on_other_devices_are_told(session, device):
    assert ort._device_in_use(session, "tensorrt") == device


@pytest.mark.parametrize(
    "session",
    [
        Session([CPU], [CPU]),
        Session([CPU]),
        Session([TENSORRT, CUDA, CPU], [CUDA]),
    ],
)
def test_a_device_that_no_layer_runs_on_is_an_error(session):
    with pytest.raises(DeviceError, match="could not start on 'tensorrt' and would have used c"):
        ort._device_in_use(session, "tensorrt")


def test_tensorrt_stands_on_cuda_and_cuda_computes_in_full_precision(monkeypatch):
    settings = BackendSettings(device="tensorrt")
    monkeypatch.setattr(ort, "engine_folder", lambda *_: None)
    (first, options), second = ort._providers(b"", settings)
    assert first == TENSORRT
    assert options["trt_int8_enable"] == "False"
    assert second == (CUDA, {"use_tf32": "0"})
    assert ort._providers(b"", BackendSettings(device="cuda")) == [second]
    assert ort._providers(b"", BackendSettings()) == [(CPU, {})]
