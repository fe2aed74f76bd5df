"""The backend ``triton`` against a real server process that misbehaves on demand."""

from __future__ import annotations

import hashlib
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

from edgepose_runtime.backends import BackendSettings
from edgepose_runtime.backends.triton import (
    BreakerState,
    Expected,
    ServerAddress,
    ServerSettings,
    TritonBackend,
    open_server,
)
from edgepose_runtime.errors import (
    ClosedError,
    ConfigError,
    DeviceError,
    ServerError,
    ServerFault,
)
from edgepose_runtime.tensors import TensorSpec
from tests.servers import SmallServer

pytest.importorskip("tritonclient.grpc")
onnx = pytest.importorskip("onnx")

INPUT = TensorSpec("image", "uint8", ("N", 4, 4, 3))
OUTPUT = TensorSpec("heatmaps", "float32", ("N", 4, 4, 3))
SECRET = "tok-3x4mple"
# Waits are short, deadlines long: only the server's fault must end a request.
PATIENT = ServerSettings(
    deadline_s=30,
    first_delay_s=0.01,
    first_rest_s=0.05,
    longest_rest_s=0.1,
    largest_answer=2**20,
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """Casts pixels to numbers."""
    helper = onnx.helper
    node = helper.make_node("Cast", ["image"], ["heatmaps"], to=onnx.TensorProto.FLOAT)
    image = helper.make_tensor_value_info("image", onnx.TensorProto.UINT8, INPUT.shape)
    maps = helper.make_tensor_value_info("heatmaps", onnx.TensorProto.FLOAT, OUTPUT.shape)
    made = helper.make_graph([node], "cast", [image], [maps])
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tmp_path_factory.mktemp("graph") / "cast.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture
def server(graph):
    sha256 = hashlib.sha256(graph.read_bytes()).hexdigest()
    facts = {"edgepose.sha256": sha256, "edgepose.skeleton": "penn13"}
    server = SmallServer(graph=str(graph), parameters=facts)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def connect(server, graph):
    opened = []
    notifications = []

    def connect(settings=PATIENT, **expected):
        wanted = {"name": "tiny", "inputs": (INPUT,), "outputs": (OUTPUT,), **expected}
        network = open_server(
            ServerAddress.parse(server.address),
            Expected(**wanted),
            settings,
            listener=lambda *news: notifications.append(news),
        )
        network.notifications = notifications
        opened.append(network)
        return network

    yield connect
    for network in opened:
        network.close()


def feeds(value=7):
    return {"image": np.full((1, 4, 4, 3), value, np.uint8)}


def assert_works(network, value=7):
    np.testing.assert_array_equal(network.infer(feeds(value))["heatmaps"], np.float32(value))


def fault_of(network):
    with pytest.raises(ServerError) as caught:
        network.infer(feeds())
    assert SECRET not in str(caught.value)
    return caught.value.fault


def test_a_request_is_answered_on_another_thread(connect):
    future = connect().start(feeds(3))
    np.testing.assert_array_equal(future.result()["heatmaps"], np.float32(3))


def test_the_model_is_found_by_its_hash_alone(server, graph):
    device = BackendSettings(device=server.address)
    with TritonBackend(PATIENT).load(graph, settings=device) as network:
        assert_works(network)


def test_where_models_are_not_listed_the_usual_name_is_tried(server, graph):
    server.change(lists=False, name=f"{graph.parent.name}-{graph.stem}")
    device = BackendSettings(device=server.address)
    with TritonBackend(PATIENT).load(graph, settings=device) as network:
        assert_works(network)
    server.change(name="another")
    with pytest.raises(ServerError, match=f"there is no model {graph.parent.name}-cast"):
        TritonBackend(PATIENT).load(graph, settings=device)


def test_where_models_are_not_listed_one_without_a_folder_must_be_named(server, graph):
    server.change(lists=False)
    with pytest.raises(ServerError, match="as in grpc://HOST:PORT/MODEL"):
        TritonBackend(PATIENT).load(
            graph.read_bytes(), settings=BackendSettings(device=server.address)
        )
    named = BackendSettings(device=f"{server.address}/tiny")
    TritonBackend(PATIENT).load(graph.read_bytes(), settings=named).close()


def test_a_model_with_another_hash_is_refused(server):
    with pytest.raises(ServerError, match=r"None of the server's models \(tiny\) runs the graph"):
        TritonBackend(PATIENT).load(b"other", settings=BackendSettings(device=server.address))


@pytest.mark.parametrize(
    ("expected", "sentence"),
    [
        ({"sha256": "00"}, "has the sha256 '.+', but the bundle needs '00'"),
        ({"facts": {"edgepose.skeleton": "coco17"}}, "has the skeleton 'penn13', but .* 'coco17'"),
        ({"inputs": (TensorSpec("image", "uint8", ("N", 8, 8, 3)),)}, "should take image: uint8"),
        ({"outputs": (TensorSpec("maps", "float32", ("N", 1)),)}, "and return maps: float32"),
        ({"name": "other"}, "there is no model other"),
    ],
)
def test_a_model_that_does_not_fit_the_bundle_is_refused(connect, expected, sentence):
    with pytest.raises(ServerError, match=sentence) as caught:
        connect(**expected).connect()
    assert caught.value.fault is ServerFault.WRONG_MODEL


def test_a_server_without_configurations_is_believed_about_hash_and_skeleton(connect, server):
    server.change(parameters=None)
    assert_works(connect(sha256="00"))


@pytest.mark.parametrize("fault", ["nan", "huge", "shape", "bytes"])
def test_an_answer_that_cannot_be_used_is_refused(connect, server, fault):
    network = connect()
    server.change(fault=fault)
    assert fault_of(network) is ServerFault.BAD_ANSWER
    server.change(fault=None)
    assert_works(network)


def test_what_a_server_says_is_short_and_without_control_characters(connect, server):
    network = connect()
    server.change(fault="talkative")
    for _ in range(PATIENT.failures):
        with pytest.raises(ServerError) as caught:
            network.infer(feeds())
        assert len(str(caught.value)) < 600
        assert str(caught.value).isprintable()
    ((_, detail),) = network.notifications
    assert len(detail) < 600
    assert detail.isprintable()


def test_a_server_that_is_full_is_asked_again_and_then_given_up(connect, server):
    network = connect()
    server.change(fault="full")
    assert fault_of(network) is ServerFault.OVERLOADED


def test_a_deadline_ends_a_request(connect, server):
    network = connect(ServerSettings(deadline_s=0.2))
    assert_works(network)
    server.change(delay_s=60)
    assert fault_of(network) is ServerFault.TIMEOUT


def test_a_wrong_token_is_refused_and_stands_in_no_log(connect, server, caplog):
    server.change(token="the right one")
    network = connect(ServerSettings(deadline_s=30, token=SECRET))
    for _ in range(3):
        assert fault_of(network) is ServerFault.REFUSED
    assert network.state is BreakerState.OPEN
    assert SECRET not in caplog.text + repr(network.notifications) + repr(
        ServerSettings(token=SECRET)
    )


def test_the_right_token_is_accepted(connect, server):
    server.change(token=SECRET)
    assert_works(connect(ServerSettings(deadline_s=30, token=SECRET)))


def test_a_killed_server_is_left_alone_and_found_again(connect, server):
    network = connect()
    assert_works(network)
    server.kill()
    faults = [fault_of(network) for _ in range(4)]
    assert faults == [ServerFault.UNREACHABLE] * 3 + [ServerFault.CIRCUIT_OPEN]
    server.start()
    assert_comes_back(network)
    assert [there for there, _ in network.notifications] == [False, True]


def test_a_frozen_server_costs_a_deadline_and_is_found_again(connect, server):
    network = connect(ServerSettings(deadline_s=0.3, first_rest_s=0.05, longest_rest_s=0.1))
    assert_works(network)
    server.send(signal.SIGSTOP)
    assert [fault_of(network) for _ in range(3)] == [ServerFault.TIMEOUT] * 3
    server.send(signal.SIGCONT)
    assert_comes_back(network)


def test_a_server_that_comes_back_with_another_model_is_refused(connect, server):
    always = replace(PATIENT, verify_every_s=0)
    network = connect(always, facts={"edgepose.skeleton": "penn13"})
    assert_works(network)
    server.kill()
    server.start(parameters={"edgepose.skeleton": "coco17"})
    with pytest.raises(ServerError, match="skeleton 'coco17'"):
        infer_until_reached(network)


def test_a_model_that_is_replaced_in_a_running_server_is_noticed(connect, server):
    network = connect(facts={"edgepose.skeleton": "penn13"})
    assert_works(network)
    server.change(version="2", parameters={"edgepose.skeleton": "coco17"})
    assert fault_of(network) is ServerFault.WRONG_MODEL


def test_a_new_version_of_the_same_model_is_used(connect, server):
    network = connect()
    assert_works(network)
    server.change(version="2")
    assert_works(network)


def test_no_more_requests_are_under_way_than_allowed(connect, server):
    network = connect(ServerSettings(deadline_s=60, in_flight=2))
    network.connect()
    server.change(delay_s=60)
    waiting = [network.start(feeds()) for _ in range(2)]
    with pytest.raises(ServerError, match=r"2 requests to .* are under way"):
        network.start(feeds())
    server.change(delay_s=0)  # ends the waiting
    assert all(future.result() for future in waiting)
    assert network.start(feeds()).result()


def test_closing_ends_requests_and_their_threads(connect, server):
    network = connect(ServerSettings(deadline_s=60))
    network.connect()
    server.change(delay_s=60)
    future = network.start(feeds())
    network.close()
    network.close()
    assert isinstance(future.exception(), (ServerError, ClosedError))
    with pytest.raises(ClosedError):
        network.start(feeds())
    assert not [t for t in threading.enumerate() if t.name == "edgepose-server"]


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("http://host:8001", "looks like grpc://host:8001"),
        ("grpc://", "looks like grpc://host"),
        ("grpc://host:port", "looks like grpc://host"),
        ("grpc://user:hush@host:1", r"no user or password in it.*grpc://\*\*\*@host"),
        ("grpc://host?token=hush", r"got 'grpc://host\?token=\*\*\*'"),
    ],
)
def test_an_address_that_is_none_is_refused_without_its_secrets(address, sentence):
    with pytest.raises(ConfigError, match=sentence) as caught:
        ServerAddress.parse(address)
    assert "hush" not in str(caught.value)


def test_addresses_are_read_and_written():
    address = ServerAddress.parse("grpcs://[::1]:9/deep/model")
    assert address == ServerAddress("::1", 9, True, "deep/model")
    assert str(address) == "grpcs://[::1]:9/deep/model"
    assert ServerAddress.parse("grpc://host").port == 8001


def test_a_token_is_never_sent_in_the_clear_to_another_machine():
    settings = ServerSettings(token=SECRET)
    with pytest.raises(ConfigError, match="in the clear; use grpcs") as caught:
        open_server(ServerAddress.parse("grpc://elsewhere:1"), Expected("m"), settings)
    assert SECRET not in str(caught.value)


def test_a_device_that_is_no_address_is_refused():
    with pytest.raises(DeviceError, match="the address of a server"):
        TritonBackend().load(b"", settings=BackendSettings())


@pytest.mark.parametrize(
    "wrong", [{"deadline_s": 0}, {"deadline_s": -1}, {"failures": 0}, {"retries": -1}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        ServerSettings(**wrong)


def infer_until_reached(network):
    """Ask until the server is reached: it rests for a while, and gRPC connects in its own time."""
    while True:
        try:
            return network.infer(feeds())
        except ServerError as error:
            if error.fault not in (ServerFault.UNREACHABLE, ServerFault.CIRCUIT_OPEN):
                raise
            threading.Event().wait(0.02)


def assert_comes_back(network):
    while True:
        try:
            assert_works(network)
            break
        except ServerError:
            threading.Event().wait(0.02)
    assert network.state is BreakerState.CLOSED
