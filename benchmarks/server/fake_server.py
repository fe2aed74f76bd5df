"""A server that answers late and computes nothing: what it takes is the tracker's own."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepose_converters.triton.config import facts, model_name
from edgepose_runtime.bundles.bundle import Bundle
from edgepose_runtime.errors import BackendUnavailableError

SERVER = Path(__file__).parents[2] / "tests" / "oip_server.py"


@contextmanager
def fake_server(bundle: Bundle, delay_s: float) -> Iterator[str]:
    """Serve the first answer of a bundle's head over and over; return the address."""
    if not SERVER.is_file():
        raise BackendUnavailableError(f"The small server of the tests is not there: {SERVER}.")
    port = free_port()
    command = [sys.executable, str(SERVER), str(port)]
    settings = {
        "name": model_name(bundle.manifest, "head"),
        "graph": str(bundle.graph_path("head")),
        "parameters": facts(bundle.manifest, "head"),
        "delay_s": delay_s,
        "canned": True,
    }
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            _set_up(process, json.dumps(settings))
            yield f"grpc://127.0.0.1:{port}"
        finally:
            process.kill()


def _set_up(process: subprocess.Popen[str], settings: str) -> None:
    if process.stdin is None or process.stdout is None:
        raise BackendUnavailableError("The small server cannot be talked to.")
    process.stdin.write(settings + "\n")
    process.stdin.flush()
    process.stdout.readline()


def free_port() -> int:
    """Return a port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
