"""``edgepose serve``: a bundle's heavy network on a real Triton, for trackers elsewhere."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgepose.utils.arguments import comma_separated, whole_number
from edgepose_runtime.errors import ConfigError

SUMMARY = "serve a bundle's heavy network with Triton"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    from edgepose.inference.model import DEFAULT_MODEL  # not at the top: it loads OpenCV

    parser: argparse.ArgumentParser = subparsers.add_parser(
        "serve",
        help=SUMMARY,
        description="Run NVIDIA Triton, from the PyPI package nvidia-pytriton in an environment of "
        "its own, with dynamic batching. Health, readiness and metrics are Triton's own. For its "
        "containers, 'edgepose convert BUNDLE FOLDER --to triton' writes a model repository.",
        epilog="Example: edgepose serve ppn-swift, and elsewhere: edgepose track walk.mp4 "
        "--remote-head grpc://127.0.0.1:8001",
    )
    parser.add_argument(
        "bundle", nargs="?", default=DEFAULT_MODEL, help="name or folder of a bundle"
    )
    _add_place_options(parser)
    _add_listening_options(parser)
    add_batching_options(parser)
    parser.add_argument(
        "--num-threads",
        type=whole_number(1),
        default=2,
        metavar="N",
        help="CPU threads of an instance",
    )


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C."""
    if (args.tls_cert is None) != (args.tls_key is None):
        raise ConfigError("--tls-cert and --tls-key belong together; give both or none.")
    from edgepose_converters.cli.triton import serve

    return serve(args)


def add_batching_options(parser: argparse.ArgumentParser) -> None:
    """Add what ``serve`` and ``convert --to triton`` have in common."""
    group = parser.add_argument_group("serving")
    group.add_argument(
        "--graphs",
        type=comma_separated(str),
        metavar="NAME,NAME,...",
        help="which graphs of the bundle (default: those that make a remote head)",
    )
    group.add_argument(
        "--max-batch",
        type=whole_number(1),
        default=16,
        metavar="N",
        help="requests that are joined to one inference, at most (default: 16)",
    )
    group.add_argument(
        "--queue-delay",
        type=whole_number(0),
        default=2000,
        metavar="US",
        help="microseconds that a request may wait for others (default: 2000)",
    )
    group.add_argument(
        "--instances",
        type=whole_number(1),
        default=1,
        metavar="N",
        help="copies that run side by side",
    )


def _add_place_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--environment",
        type=Path,
        metavar="DIR",
        help="the Python environment with Triton (default: the variable EDGEPOSE_TRITON, else "
        "~/.cache/edgepose/triton)",
    )
    parser.add_argument(
        "--install", action="store_true", help="make that environment (about 550 MB), and end"
    )
    parser.add_argument("--log", type=Path, metavar="FILE", help="what Triton says (default: lost)")


def _add_listening_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--host",
        default="127.0.0.1",
        help="address of the interface to listen on (default: 127.0.0.1, this machine only)",
    )
    for name, port, what in (
        ("port", 8001, "gRPC"),
        ("http-port", 8000, "HTTP, with health and readiness"),
        ("metrics-port", 8002, "Prometheus metrics"),
    ):
        parser.add_argument(
            f"--{name}",
            type=whole_number(1),
            default=port,
            metavar="N",
            help=f"{what} (default: {port})",
        )
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="PEM certificate for gRPC")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
