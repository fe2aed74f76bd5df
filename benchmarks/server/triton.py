"""A Triton of ``edgepose serve`` on this machine, and clients that ask it without pause."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from benchmarks.server.fake_server import free_port
from edgepose_converters.triton.config import ServingOptions, model_name
from edgepose_converters.triton.environment import TritonEnvironment
from edgepose_converters.triton.repository import write_repository
from edgepose_converters.triton.server import Endpoints, TritonServer
from edgepose_runtime.backends import Network
from edgepose_runtime.backends.triton import Expected, ServerAddress, ServerSettings, open_server
from edgepose_runtime.bundles.bundle import Bundle

#: What a remote head runs.
GRAPH = "head"


@contextmanager
def running_triton(
    environment: TritonEnvironment, bundle: Bundle, options: ServingOptions
) -> Iterator[TritonServer]:
    """Serve the head of a bundle for the time of the block."""
    endpoints = Endpoints(grpc=free_port(), http=free_port(), metrics=free_port())
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        write_repository(bundle, repository, options, (GRAPH,))
        with TritonServer(environment, repository, endpoints) as server:
            server.start(120)
            yield server


@contextmanager
def connected(server: TritonServer, bundle: Bundle) -> Iterator[Network]:
    """Connect to the head for the time of the block."""
    graph = bundle.manifest.graphs[GRAPH]
    expected = Expected(name=model_name(bundle.manifest, GRAPH), sha256=graph.sha256)
    address = ServerAddress("127.0.0.1", server.endpoints.grpc, tls=False)
    with open_server(address, expected, ServerSettings(deadline_s=120)) as network:
        yield network


def ask(network: Network, size: int, *, clients: int, batch: int, seconds: float) -> list[float]:
    """Let clients ask as fast as they get answers.

    Args:
        network: what they ask.
        size: side of a crop in pixels.
        clients: how many ask at the same time.
        batch: crops in each request.
        seconds: for how long they begin new requests.

    Returns:
        How long each answer took, in seconds; and last, how long all took together: the last
        answers come after the time is up, and count, too.
    """
    shape = (batch, size, size, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    network.infer({"image": crops})
    took: list[float] = []
    start = time.monotonic()

    def work() -> None:
        while (sent := time.monotonic()) < start + seconds:
            network.infer({"image": crops})
            took.append(time.monotonic() - sent)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [*took, time.monotonic() - start]
