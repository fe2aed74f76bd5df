"""What ``edgepose convert --to triton`` and ``edgepose serve`` do."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType

from edgepose.inference.model import bundle_path
from edgepose_converters.triton.config import ServingOptions
from edgepose_converters.triton.environment import TritonEnvironment, default_folder
from edgepose_converters.triton.repository import BUILD, write_repository
from edgepose_converters.triton.server import LOOPBACK, Endpoints, TritonServer
from edgepose_converters.triton.supervision import keep_running
from edgepose_runtime.bundles.bundle import load_bundle
from edgepose_runtime.errors import ConfigError


def convert(args: argparse.Namespace) -> int:
    """Write a model repository; return the exit code."""
    options = ServingOptions(
        platform=args.platform,
        device="cpu" if args.platform == "python" else args.serve_on,
        max_batch=args.max_batch,
        queue_delay_us=args.queue_delay,
        instances=args.instances,
    )
    bundle = load_bundle(bundle_path(args.source))
    models = write_repository(bundle, args.out, options, args.graphs)
    sys.stdout.write(f"Wrote the model repository {args.out}: {', '.join(models)}.\n")
    if options.platform == "tensorrt":
        sys.stdout.write(f"Its plans must be built on the GPU: see {args.out / BUILD}.\n")
    return 0


def serve(args: argparse.Namespace) -> int:
    """Run Triton on a bundle until it is told to stop; return the exit code."""
    environment = TritonEnvironment(args.environment or default_folder())
    if args.install:
        sys.stderr.write(f"Installing Triton in {environment.folder} (about 550 MB) …\n")
        environment.install()
        return 0
    endpoints = Endpoints(args.host, args.port, args.http_port, args.metrics_port)
    options = ServingOptions(
        platform="python",
        device="cpu",
        max_batch=args.max_batch,
        queue_delay_us=args.queue_delay,
        instances=args.instances,
        threads=args.num_threads,
    )
    tls = _tls(args)
    if not tls and args.host not in (LOOPBACK, "localhost", "::1"):
        sys.stderr.write(
            f"edgepose: Warning: {args.host} is reached from other machines, without encryption or "
            "authentication; add --tls-cert and --tls-key, or keep the default --host.\n"
        )
    bundle = load_bundle(bundle_path(args.bundle))
    with tempfile.TemporaryDirectory(prefix="edgepose-serve-") as folder:
        repository = Path(folder) / "models"
        models = write_repository(bundle, repository, options, args.graphs)
        server = TritonServer(environment, repository, endpoints, tls, args.log)
        with server:
            server.start()
            return _run(server, partial(_announce, models, endpoints, tls=bool(tls)))


def _tls(args: argparse.Namespace) -> list[str]:
    if args.tls_cert is None:
        return []
    for path in (args.tls_cert, args.tls_key):
        if not path.is_file():
            raise ConfigError(f"There is no file '{path}'; TLS needs a certificate and its key.")
    return [
        "--grpc-use-ssl=1",
        f"--grpc-server-cert={args.tls_cert}",
        f"--grpc-server-key={args.tls_key}",
    ]


def _announce(models: list[str], endpoints: Endpoints, *, tls: bool) -> None:
    scheme = "grpcs" if tls else "grpc"
    sys.stdout.write(
        f"Serving {', '.join(models)} at {scheme}://{endpoints.host}:{endpoints.grpc}\n"
        f"ready:   {endpoints.url('v2/health/ready')}\n"
        f"metrics: {endpoints.url('metrics', metrics=True)}\n"
    )
    sys.stdout.flush()


def _run(server: TritonServer, announce: Callable[[], None]) -> int:
    """Keep Triton running until a signal ends it, or it crashes again and again.

    It is announced when signals are taken care of: whoever reads that may send one at once.
    """
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()
        server.send(signal.SIGTERM)

    before = {each: signal.signal(each, stop) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        announce()
        return 0 if keep_running(server, stopped) else 1
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
