"""What ``edgepose serve`` can do: with dynamic batching, and one request at a time."""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.serving.canned import free_port
from edgepose.loading import bundle_path
from edgepose_converters.triton.config import ServingOptions, model_name
from edgepose_converters.triton.environment import TritonEnvironment, default_folder
from edgepose_converters.triton.repository import write_repository
from edgepose_converters.triton.server import Endpoints, TritonServer
from edgepose_runtime.backends.triton import Expected, ServerAddress, ServerSettings, open_server
from edgepose_runtime.bundle import Bundle, load_bundle

CLIENTS = (1, 4, 16)
GRAPHS = ("head",)


def measure(args: argparse.Namespace, _before: dict[str, Any]) -> dict[str, Any]:
    """Run both servers one after the other with 1, 4 and 16 clients each."""
    environment = TritonEnvironment(args.environment or default_folder())
    bundle = load_bundle(bundle_path(args.model))
    found: dict[str, Any] = {}
    for way, most in (("dynamic batching", 16), ("one at a time", 1)):
        found[way] = _measure_server(environment, bundle, most, args.seconds)
    found["ratio"] = {
        str(count): round(
            found["dynamic batching"][str(count)]["per_second"]
            / found["one at a time"][str(count)]["per_second"],
            3,
        )
        for count in CLIENTS
    }
    print(f"throughput: {found}")
    return found


def _measure_server(
    environment: TritonEnvironment, bundle: Bundle, most: int, seconds: float
) -> dict[str, Any]:
    endpoints = Endpoints(grpc=free_port(), http=free_port(), metrics=free_port())
    options = ServingOptions(platform="python", device="cpu", max_batch=most)
    with tempfile.TemporaryDirectory() as folder:
        repository = Path(folder) / "models"
        write_repository(bundle, repository, options, GRAPHS)
        with TritonServer(environment, repository, endpoints) as server:
            server.start(120)
            return {
                str(count): _measure_clients(server, bundle, count, seconds) for count in CLIENTS
            }


def _measure_clients(
    server: TritonServer, bundle: Bundle, count: int, seconds: float
) -> dict[str, float]:
    before = server.metrics()
    per_second = _ask(server.endpoints.grpc, bundle, count, seconds)
    after = server.metrics()

    def grown(name: str) -> float:
        return after[name] - before[name]

    return {
        "per_second": round(per_second, 2),
        "mean_batch": round(
            grown("nv_inference_count") / max(grown("nv_inference_exec_count"), 1), 2
        ),
    }


def _ask(port: int, bundle: Bundle, count: int, seconds: float) -> float:
    """Let clients ask as fast as they get answers; return how many came per second."""
    graph = bundle.manifest.graphs["head"]
    expected = Expected(model_name(bundle.manifest, "head"), graph.sha256)
    address = ServerAddress("127.0.0.1", port, tls=False)
    settings = ServerSettings(deadline_s=120)
    crop = np.random.default_rng(0).integers(0, 256, (1, 256, 256, 3), dtype=np.uint8)
    done = [0] * count
    with open_server(address, expected, settings) as network:
        network.infer({"image": crop})
        start = time.monotonic()

        def work(client: int) -> None:
            while time.monotonic() < start + seconds:
                network.infer({"image": crop})
                done[client] += 1

        threads = [threading.Thread(target=work, args=(client,)) for client in range(count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # The last batches end after the time is up: they and their time count, too.
        return sum(done) / (time.monotonic() - start)
