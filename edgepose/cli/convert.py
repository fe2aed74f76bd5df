"""``edgepose convert``: turn a checkpoint into a bundle.

The work is done by the package ``edgepose_converters``. It is found by name, since nothing in this
package may depend on it.
"""

from __future__ import annotations

import argparse
from importlib import import_module
from pathlib import Path
from typing import Any

from edgepose.cli.extras import require_packages
from edgepose.cli.serve import add_batching_options
from edgepose.cli.values import listed


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "convert",
        help="turn a checkpoint into a bundle",
        description="Export a trained network to ONNX, compare torch, ONNX Runtime and OpenVINO "
        "frame by frame, and write a bundle if they agree.",
        epilog="Example: edgepose convert runs/ppn/checkpoint.pt my-bundle --head average "
        "--weights float16 --verify samples/clips/balance.mp4",
    )
    parser.add_argument(
        "checkpoint",
        type=Path,
        help="what edgepose train has written; for --to triton the name or folder of a bundle",
    )
    parser.add_argument("out", type=Path, help="folder of the bundle, or of the model repository")
    parser.add_argument(
        "--to",
        choices=("bundle", "triton"),
        default="bundle",
        help="what to write: a bundle, or the model repository of a Triton server",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a bundle that is there")
    _add_network_options(parser)
    _add_manifest_options(parser)
    _add_verification_options(parser)
    _add_serving_options(parser)


def run(args: argparse.Namespace) -> int:
    """Convert, and print how well the runtimes agree."""
    if args.to == "triton":
        return int(import_module("edgepose_converters.triton.command").convert(args))
    require_packages("convert", "convert", "torch", "onnx", "onnxruntime")
    return int(import_module("edgepose_converters.command").run(args))


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("networks")
    group.add_argument(
        "--head",
        metavar="CHECKPOINT|average",
        help="start sequences with the network of another checkpoint, or with the average of the "
        "own one over views of the image (average:CHECKPOINT for both)",
    )
    group.add_argument(
        "--scales",
        type=listed(float),
        default=(0.85, 1.0, 1.2),
        metavar="S,S,...",
        help="scales of the views that are averaged (default: 0.85,1.0,1.2)",
    )
    group.add_argument(
        "--weights",
        choices=("float32", "float16"),
        default="float32",
        help="how weights are stored; computed is in float32 either way (default: float32)",
    )


def _add_manifest_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("manifest")
    group.add_argument("--name", help="the bundle's name (default: the folder's)")
    group.add_argument(
        "--score-threshold",
        type=float,
        default=0.2,
        metavar="SCORE",
        help="below this score joints are not to be trusted (default: 0.2)",
    )
    group.add_argument(
        "--reinitialise-every",
        type=int,
        metavar="N",
        help="after how many frames the head should run again (default: never)",
    )
    group.add_argument(
        "--card",
        type=Path,
        metavar="FILE",
        help="JSON with objects training, accuracy, latency and licence for the manifest",
    )


def _add_verification_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("verification")
    group.add_argument(
        "--verify",
        metavar="SOURCE",
        help="video or images of a person to compare torch and the runtimes on (default: made-up "
        "pictures, which say little about joints)",
    )
    group.add_argument(
        "--verify-frames",
        type=int,
        default=40,
        metavar="N",
        help="how many of its frames, at most (default: 40)",
    )


def _add_serving_options(parser: argparse.ArgumentParser) -> None:
    """Add what only ``--to triton`` looks at."""
    add_batching_options(parser)
    parser.add_argument(
        "--platform",
        choices=("onnxruntime", "tensorrt", "python"),
        default="onnxruntime",
        help="what runs the graph inside Triton (default: onnxruntime)",
    )
    parser.add_argument(
        "--serve-on", choices=("gpu", "cpu"), default="gpu", help="where (default: gpu)"
    )
