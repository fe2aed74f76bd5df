"""What ``edgepose serve`` can do: with dynamic batching, and one request at a time."""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.server.triton import ask, connected, running_triton
from edgepose.inference.model import bundle_path
from edgepose_converters.triton.config import ServingOptions
from edgepose_converters.triton.environment import TritonEnvironment, default_folder
from edgepose_converters.triton.server import TritonServer
from edgepose_runtime.bundles.bundle import Bundle, load_bundle

CLIENTS = (1, 4, 16)


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
    options = ServingOptions(platform="python", device="cpu", max_batch=most)
    with running_triton(environment, bundle, options) as server:
        return {str(count): _measure_clients(server, bundle, count, seconds) for count in CLIENTS}


def _measure_clients(
    server: TritonServer, bundle: Bundle, count: int, seconds: float
) -> dict[str, float]:
    size = bundle.manifest.input.size
    with connected(server, bundle) as network:
        before = server.metrics()
        *took, total = ask(network, size, clients=count, batch=1, seconds=seconds)
        after = server.metrics()

    def grown(name: str) -> float:
        return after[name] - before[name]

    return {
        "per_second": round(len(took) / total, 2),
        "mean_batch": round(
            grown("nv_inference_count") / max(grown("nv_inference_exec_count"), 1), 2
        ),
    }
