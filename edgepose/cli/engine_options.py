"""What runs the networks: the options that commands with a model have in common."""

from __future__ import annotations

import argparse
from typing import Any

from edgepose.utils.arguments import whole_number


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Add backend, device, precision and number of threads."""
    group = parser.add_argument_group("inference")
    group.add_argument("--backend", default="openvino", help="openvino or onnxruntime")
    group.add_argument("--device", default="cpu", help="a device of the backend, such as gpu")
    group.add_argument("--precision", default="auto", help="what to compute in, such as float32")
    group.add_argument(
        "--num-threads", type=whole_number(1), metavar="N", help="CPU threads for each network"
    )


def engine_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options as keyword arguments of ``load()`` and ``PoseTracker``."""
    names = ("backend", "device", "precision", "num_threads")
    return {name: getattr(args, name) for name in names}
