import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("torch")

from edgepose.inference.model import load  # noqa: E402
from edgepose.torch_backend import TorchBackend  # noqa: E402
from edgepose_runtime.backends import BackendSettings, available_backends, get_backend  # noqa: E402
from edgepose_runtime.errors import (  # noqa: E402
    BackendError,
    BackendUnavailableError,
    DeviceError,
    InferenceError,
)

helper = onnx.helper


def product(operator="MatMul", **attributes):
    """A graph that multiplies ``x`` (N, 64) with a weight."""
    weight = np.random.default_rng(0).normal(0, 1, (64, 64)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node(operator, ["x", "weight"], ["y"], **attributes)],
        "product",
        [helper.make_tensor_value_info("x", 1, ("N", 64))],
        [helper.make_tensor_value_info("y", 1, ("N", 64))],
        [onnx.numpy_helper.from_array(weight, "weight")],
    )
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8).SerializeToString()


def test_it_is_registered_under_its_name():
    assert isinstance(get_backend("torch"), TorchBackend)
    assert "torch" in available_backends()


@pytest.mark.parametrize("package", ["torch", "onnx"])
def test_a_missing_package_is_named_with_the_command(package, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(BackendUnavailableError, match=r"pip install edgepose\[convert\]"):
        TorchBackend().load(product(), settings=BackendSettings())


def test_an_operator_that_is_not_known_is_named():
    with pytest.raises(BackendError, match=r"no operator Hardmax\. Use the backend openvino"):
        TorchBackend().load(product("Hardmax"), settings=BackendSettings())


def test_bfloat16_is_used_and_told():
    x = np.random.default_rng(1).normal(0, 1, (2, 64)).astype(np.float32)
    found = {}
    for precision in ("float32", "bfloat16"):
        settings = BackendSettings(precision=precision)
        with TorchBackend().load(product(), settings=settings) as network:
            assert network.precision == precision
            found[precision] = network.infer({"x": x})["y"]
    error = np.abs(found["bfloat16"] - found["float32"]).max()
    assert 0 < error < 0.5
    assert found["bfloat16"].dtype == np.float32


def test_int8_is_never_claimed():
    with pytest.raises(DeviceError, match="computes in float32, not in int8"):
        TorchBackend().load(product(), settings=BackendSettings(precision="int8"))


def test_missing_devices_come_with_what_to_do():
    backend = TorchBackend()
    for device, fix in {"cuda": "build of PyTorch with CUDA", "tensorrt": "onnxruntime"}.items():
        if device not in backend.capabilities.devices:
            with pytest.raises(DeviceError, match=f"no device '{device}' .*{fix}"):
                backend.load(product(), settings=BackendSettings(device=device))


def test_what_torch_cannot_compute_is_an_inference_error():
    settings = BackendSettings()
    content = product("Concat", axis=0)
    with TorchBackend().load(content, settings=settings) as network:
        assert network.infer({"x": np.ones((1, 64), np.float32)})["y"].shape == (65, 64)
    content = product("Concat", axis=1)
    with (
        TorchBackend().load(content, settings=settings) as network,
        pytest.raises(InferenceError, match="PyTorch failed to run"),
    ):
        network.infer({"x": np.ones((1, 64), np.float32)})


def test_a_bundle_runs(puppet_bundle):
    with load(puppet_bundle.path, backend="torch") as model:
        assert (model.device, model.precision) == ("cpu", "float32")
