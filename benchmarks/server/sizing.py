"""How many frames per second a server answers, by the number of crops in a request."""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.server.triton import ask, connected, running_triton
from edgepose.evaluation.report import Table, markdown
from edgepose.inference.model import bundle_path
from edgepose_converters.triton.config import ServingOptions
from edgepose_converters.triton.environment import TritonEnvironment, default_folder
from edgepose_runtime.backends import Network
from edgepose_runtime.bundles.bundle import load_bundle

BATCHES = (1, 2, 4, 8, 16)
#: A camera's frames per second.
FPS = 30.0


def measure(args: argparse.Namespace, _before: dict[str, Any]) -> dict[str, Any]:
    """Serve the head, and send requests of each size, one after the other."""
    environment = TritonEnvironment(args.environment or default_folder())
    bundle = load_bundle(bundle_path(args.model))
    # What is joined already is not to wait for more.
    options = ServingOptions(
        platform="python", device="cpu", max_batch=max(BATCHES), queue_delay_us=0
    )
    size = bundle.manifest.input.size
    with (
        running_triton(environment, bundle, options) as server,
        connected(server, bundle) as network,
    ):
        rows = {str(batch): _row(network, size, batch, args) for batch in BATCHES}
    print(markdown(_table(rows, args.every)))
    return rows


def _row(network: Network, size: int, batch: int, args: argparse.Namespace) -> dict[str, float]:
    *took, total = ask(network, size, clients=1, batch=batch, seconds=args.seconds)
    per_second = batch * len(took) / total
    return {
        "frames_per_second": round(per_second, 1),
        "ms_per_request": round(float(np.median(took)) * 1e3, 1),
        "cameras": round(per_second / (FPS / args.every), 1),
    }


def _table(rows: dict[str, dict[str, float]], every: int) -> Table:
    cameras = f"cameras of {FPS:.0f} fps asking every {every} frames"
    columns = ("crops in a request", "frames per second", "ms per request", cameras)
    lines = tuple((batch, *map(str, row.values())) for batch, row in rows.items())
    return Table("Sizing", columns, lines)
