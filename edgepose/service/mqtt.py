"""Results and events to an MQTT broker; needs the extra ``mqtt``."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from edgepose.results import PoseResult
from edgepose.service.config import MqttConfig
from edgepose_runtime.closable import Closable
from edgepose_runtime.errors import BackendUnavailableError, ConfigError
from edgepose_runtime.events import EventKind, StreamEvent

logger = logging.getLogger("edgepose")

#: Messages that wait for the broker; further results are dropped and counted.
QUEUED_MESSAGES = 200
_CLOSING_S = 0.5
_STATES = {
    EventKind.LOST: "lost",
    EventKind.RECONNECTED: "up",
    EventKind.ENDED: "ended",
}


class MqttSink(Closable):
    """Publishes to a broker on a thread of its own, which connects again whenever that is needed.

    Topics begin with that of the configuration: ``TOPIC/CAMERA/result`` has each result as JSON,
    as in version 2 of the JSON Lines; ``TOPIC/CAMERA/event`` each event; ``TOPIC/CAMERA/state``
    ``up``, ``lost`` or ``ended``, and ``TOPIC/status`` ``online`` or ``offline``. The last two are
    retained, and the broker publishes ``offline`` also for a program that died. Results that the
    broker does not take in time are dropped and counted, never waited for.

    Args:
        config: the broker.

    Raises:
        BackendUnavailableError: the package ``paho-mqtt`` is not installed.
        ConfigError: the certificates cannot be read.
    """

    def __init__(self, config: MqttConfig) -> None:
        mqtt = require_mqtt()
        self._config = config
        self._lock = threading.Lock()
        self._waiting = 0
        self._up: set[str] = set()
        self.num_dropped = 0
        self._client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
        self._client.username = config.username
        self._client.password = config.password
        self._set_tls()
        self._client.will_set(self._topic("status"), "offline", qos=1, retain=True)
        self._client.max_queued_messages_set(QUEUED_MESSAGES)
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.reconnect_delay_set(1, 30)
        self._client.connect_async(config.host, config.port)
        self._client.loop_start()

    def on_result(self, camera: str, result: PoseResult) -> None:
        """Publish a result, unless too many wait or there is no connection."""
        if camera not in self._up:
            self._up.add(camera)
            self._publish(f"{camera}/state", "up", qos=1, retain=True)
        if not self._config.results:
            return
        if self._waiting >= QUEUED_MESSAGES or not self._client.is_connected():
            self.num_dropped += 1
            return
        self._publish(f"{camera}/result", _json({"source": camera, **result.to_dict(several=True)}))

    def on_event(self, camera: str, event: StreamEvent) -> None:
        """Publish an event; one without a connection is kept for the next."""
        record = {
            "source": camera,
            "kind": event.kind.value,
            "timestamp_ms": round(event.timestamp_ms, 3),
            "detail": event.detail,
            "person": event.person_id,
        }
        self._publish(f"{camera}/event", _json(record), qos=1)
        state = _STATES.get(event.kind)
        if state is not None:
            self._up.discard(camera)
            self._publish(f"{camera}/state", state, qos=1, retain=True)

    def close(self) -> None:
        """Publish that this program ends, and disconnect; takes half a second at most."""
        if self._client.is_connected():
            self._flush()
        self._client.disconnect()
        self._client.loop_stop()

    def _flush(self) -> None:
        last = self._client.publish(self._topic("status"), "offline", qos=1, retain=True)
        try:
            last.wait_for_publish(_CLOSING_S)
        except (RuntimeError, ValueError):  # the connection was lost meanwhile
            logger.warning("The MQTT broker was not told that this program ends.")

    def _publish(self, topic: str, payload: str, *, qos: int = 0, retain: bool = False) -> None:
        with self._lock:
            self._waiting += 1
        self._client.publish(self._topic(topic), payload, qos=qos, retain=retain)

    def _topic(self, rest: str) -> str:
        return f"{self._config.topic}/{rest}"

    def _set_tls(self) -> None:
        if not self._config.tls:
            return
        try:
            self._client.tls_set(self._config.ca_file)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The certificates '{self._config.ca_file}' cannot be used: {error}."
            ) from error

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any) -> None:
        if reason.is_failure:
            logger.error("The MQTT broker at %s refuses: %s.", self._config.host, reason)
            return
        logger.info("Connected to the MQTT broker at %s.", self._config.host)
        self._publish("status", "online", qos=1, retain=True)

    def _on_disconnect(
        self, _client: Any, _data: Any, _flags: Any, reason: Any, _more: Any
    ) -> None:
        with self._lock:
            self._waiting = 0
        if reason.is_failure:
            logger.warning("The MQTT broker at %s is gone: %s.", self._config.host, reason)

    def _on_publish(self, _client: Any, _data: Any, _id: Any, _reason: Any, _more: Any) -> None:
        with self._lock:
            self._waiting = max(0, self._waiting - 1)


def require_mqtt() -> Any:
    """Return the module ``paho.mqtt.client``.

    Raises:
        BackendUnavailableError: the package ``paho-mqtt`` is not installed.
    """
    try:
        from paho.mqtt import client
    except ImportError as error:
        raise BackendUnavailableError(
            'An MQTT broker needs the package paho-mqtt: pip install "edgepose[mqtt]"'
        ) from error
    return client


def _json(record: dict[str, Any]) -> str:
    return json.dumps(record, allow_nan=False, separators=(",", ":"))
