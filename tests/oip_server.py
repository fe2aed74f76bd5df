"""A small server of the Open Inference Protocol v2, in a process of its own, that can misbehave.

python oip_server.py PORT

It reads lines of JSON from its standard input, each an object of settings to change (see
``Settings``), and answers each with the line ``ok``; the first starts the server. It ends when the
input does. Triton serves what is well; this is for what Triton never does.
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc

from edgepose_runtime.backends import BackendSettings, Network, get_backend

KINDS = {"uint8": "UINT8", "float32": "FP32"}
HUGE = 4 * 2**20


@dataclasses.dataclass
class Settings:
    """What the server is and does.

    Attributes:
        name: of its model.
        graph: ONNX file that it runs.
        parameters: of the model's configuration; ``None`` for a server without configurations.
        token: what clients must send, ``None`` for nothing.
        delay_s: before each answer, or as long as until the next change.
        fault: ``nan``, ``huge``, ``shape``, ``full``, ``bytes`` or ``talkative``.
        version: of the model.
        lists: whether it tells the names of its models.
    """

    name: str = "tiny"
    graph: str = ""
    parameters: dict[str, str] | None = dataclasses.field(default_factory=dict)
    token: str | None = None
    delay_s: float = 0.0
    fault: str | None = None
    version: str = "1"
    canned: bool = False
    lists: bool = True


class Server(service_pb2_grpc.GRPCInferenceServiceServicer):
    """Answers as the settings say."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.changed = threading.Event()
        self._network: Network | None = None
        self._canned: dict[str, np.ndarray] | None = None

    def change(self, changes: dict[str, Any]) -> None:
        self.settings = dataclasses.replace(self.settings, **changes)
        if "graph" in changes:
            settings = BackendSettings(precision="float32", num_threads=1)
            graph = Path(self.settings.graph)
            self._network = get_backend("openvino").load(graph, settings=settings)
            self._canned = None
        before, self.changed = self.changed, threading.Event()
        before.set()

    def RepositoryIndex(self, request, context):  # noqa: ARG002, N802 - the protocol's names
        self._check(context)
        if not self.settings.lists:  # as Triton says it
            said = "This protocol is restricted, expecting header 'triton-grpc-protocol-edgepose'"
            context.abort(grpc.StatusCode.UNAVAILABLE, said)
        index = service_pb2.RepositoryIndexResponse()
        index.models.add(name=self.settings.name, version=self.settings.version, state="READY")
        return index

    def ModelConfig(self, request, context):  # noqa: N802
        self._check(context, request.name)
        if self.settings.parameters is None:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "no configurations here")
        config = model_config_pb2.ModelConfig(name=self.settings.name)
        for key, value in self.settings.parameters.items():
            config.parameters[key].string_value = value
        return service_pb2.ModelConfigResponse(config=config)

    def ModelMetadata(self, request, context):  # noqa: N802
        self._check(context, request.name)
        found = service_pb2.ModelMetadataResponse(name=self.settings.name, platform="test")
        for specs, into in (
            (self._network.inputs, found.inputs),
            (self._network.outputs, found.outputs),
        ):
            for spec in specs.values():
                shape = [size if isinstance(size, int) else -1 for size in spec.shape]
                into.add(name=spec.name, datatype=KINDS[spec.dtype], shape=shape)
        return found

    def ModelInfer(self, request, context):  # noqa: N802
        self._check(context, request.model_name)
        if self.settings.delay_s:
            self.changed.wait(self.settings.delay_s)
        if self.settings.fault == "full":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
        if self.settings.fault == "talkative":
            context.abort(grpc.StatusCode.INTERNAL, "\x1b]0;owned\x07\n" + "x" * 4000)
        answer = service_pb2.ModelInferResponse(
            model_name=self.settings.name, model_version=self.settings.version
        )
        for name, array in self._outputs(request).items():
            kind = KINDS[str(array.dtype)]
            raw = array.tobytes()
            if self.settings.fault == "bytes":
                kind, raw = "BYTES", b"\xff\xff\xff"  # three of the four bytes of a length
            answer.outputs.add(name=name, datatype=kind, shape=array.shape)
            answer.raw_output_contents.append(raw)
        return answer

    def _outputs(self, request) -> dict[str, np.ndarray]:
        if self.settings.fault == "huge":
            return {name: np.zeros(HUGE // 4, np.float32) for name in self._network.outputs}
        outputs = self._infer(request)
        if self.settings.fault == "nan":
            return {name: np.full_like(array, np.nan) for name, array in outputs.items()}
        if self.settings.fault == "shape":
            return {name: array[:, :1] for name, array in outputs.items()}
        return outputs

    def _infer(self, request) -> dict[str, np.ndarray]:
        if self.settings.canned and self._canned is not None:
            return self._canned
        feeds = {
            spec.name: np.frombuffer(raw, self._network.inputs[spec.name].dtype).reshape(spec.shape)
            for spec, raw in zip(request.inputs, request.raw_input_contents, strict=True)
        }
        self._canned = self._network.infer(feeds)
        return self._canned

    def _check(self, context, name: str | None = None) -> None:
        sent = dict(context.invocation_metadata()).get("authorization")
        if self.settings.token is not None and sent != f"Bearer {self.settings.token}":
            # Some servers repeat what they were sent.
            context.abort(grpc.StatusCode.UNAUTHENTICATED, f"{sent} is not known here")
        if name is not None and name != self.settings.name:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no model {name}")


def main(port: str) -> None:
    """Serve until the input ends."""
    service = Server()
    options = [("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)]
    server = grpc.server(ThreadPoolExecutor(8), options=options)
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(service, server)
    started = False
    for line in sys.stdin:
        service.change(json.loads(line))
        if not started:
            if not server.add_insecure_port(f"127.0.0.1:{port}"):
                sys.exit(f"The port {port} cannot be used.")
            server.start()
            started = True
        sys.stdout.write("ok\n")
        sys.stdout.flush()
    server.stop(None)


if __name__ == "__main__":
    main(*sys.argv[1:])
