"""A real MQTT broker: needs Mosquitto (Debian: mosquitto) and the package paho-mqtt."""

import json
import os
import queue
import shutil
import subprocess
import time

import pytest

from edgepose.service.config import MqttConfig
from edgepose.service.mqtt import MqttSink
from edgepose_runtime.events import EventKind, StreamEvent
from tests.servers import free_port

mqtt = pytest.importorskip("paho.mqtt.client", reason="needs the package paho-mqtt")
BROKER = shutil.which("mosquitto", path=f"{os.environ['PATH']}:/usr/sbin")


class Broker:
    def __init__(self, folder):
        self.port = free_port()
        passwords = folder / "passwords"
        subprocess.run(
            [shutil.which("mosquitto_passwd"), "-b", "-c", str(passwords), "camera", "secret"],
            check=True,
            capture_output=True,
        )
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous false\n"
            f"password_file {passwords}\nuser root\n"
        )
        self._process = None
        self.start()

    def start(self):
        self._process = subprocess.Popen(
            [BROKER, "-c", str(self._config)], stderr=subprocess.PIPE, text=True
        )
        # Not by trying to connect: a port that nobody listens at can be connected to itself.
        while not (line := self._process.stderr.readline()).endswith("running\n"):
            assert line, "Mosquitto does not start"

    def stop(self):
        self._process.terminate()
        self._process.communicate(timeout=10)


class Listener:
    """A client that keeps what is published."""

    def __init__(self, broker):
        self._messages = queue.Queue()
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.username_pw_set("camera", "secret")
        self._client.on_connect = lambda client, *_: client.subscribe("home/#", qos=1)
        self._client.on_subscribe = lambda *_: self._messages.put(None)
        self._client.on_message = lambda _client, _data, message: self._messages.put(
            (message.topic, message.payload.decode())
        )
        self._client.connect("127.0.0.1", broker.port)
        self._client.loop_start()
        assert self._messages.get(timeout=10) is None

    def wait_for(self, topic):
        """Return the next message with a topic."""
        while True:
            found = self._messages.get(timeout=20)
            if found is not None and found[0] == topic:
                return found[1]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def broker(tmp_path):
    if BROKER is None:
        pytest.skip("needs Mosquitto (Debian: apt-get install mosquitto)")
    running = Broker(tmp_path)
    yield running
    running.stop()


@pytest.fixture
def listener(broker):
    listening = Listener(broker)
    yield listening
    listening.close()


@pytest.fixture
def sink(broker):
    config = MqttConfig(
        "127.0.0.1", broker.port, topic="home/poses", username="camera", password="secret"
    )
    with MqttSink(config) as opened:
        yield opened


def test_results_and_events_are_published(listener, sink, make_result):
    assert listener.wait_for("home/poses/status") == "online"
    sink.on_result("door", make_result(7))
    assert listener.wait_for("home/poses/door/state") == "up"
    record = json.loads(listener.wait_for("home/poses/door/result"))
    assert record == {"source": "door", **make_result(7).to_dict(several=True)}
    sink.on_event("door", StreamEvent(EventKind.LOST, 5.0, "rtsp://a:hunter2@cam is gone"))
    event = json.loads(listener.wait_for("home/poses/door/event"))
    assert (event["kind"], event["detail"]) == ("lost", "rtsp://***@cam is gone")
    assert listener.wait_for("home/poses/door/state") == "lost"
    sink.close()
    assert listener.wait_for("home/poses/status") == "offline"


def test_a_broker_that_comes_back_gets_what_happened_meanwhile(broker, listener, sink, make_result):
    listener.wait_for("home/poses/status")
    broker.stop()
    while sink._client.is_connected():
        pass
    began = time.perf_counter()
    for number in range(500):
        sink.on_result("yard", make_result(number))
    assert time.perf_counter() - began < 1  # nobody waits for a broker
    assert sink.num_dropped == 500
    sink.on_event("yard", StreamEvent(EventKind.LOST, 5.0, "gone"))
    broker.start()
    # Retained, and so there also for a listener that connects later than the sink.
    while listener.wait_for("home/poses/yard/state") != "lost":
        pass


def test_a_wrong_password_is_logged_without_it(broker, listener, caplog):
    config = MqttConfig("127.0.0.1", broker.port, username="camera", password="wrong-secret")
    with MqttSink(config):
        deadline = time.monotonic() + 10
        while "refuses" not in caplog.text and time.monotonic() < deadline:
            pass
    assert "refuses: Not authorized" in caplog.text
    assert "wrong-secret" not in caplog.text + repr(config)
