"""``edgepose convert``: turn a checkpoint into a bundle, and a float bundle into an int8 one.

The work is done by modules that need torch and onnx: they are imported when the command runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from edgepose.cli.extras import require_packages
from edgepose.utils.arguments import comma_separated, whole_number
from edgepose_converters.cli.serve import add_batching_options

SUMMARY = "turn a checkpoint into a bundle, in float or in int8"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "convert",
        help=SUMMARY,
        description="Export a trained network to ONNX, compare torch, ONNX Runtime and OpenVINO "
        "frame by frame, and write a bundle if they agree. With --precision int8 quantise it (or "
        "a float bundle) with real frames, leave sensitive layers float, measure what was lost on "
        "validation clips, and write a bundle if that is little enough.",
        epilog="Examples: edgepose convert runs/ppn/checkpoint.pt my-bundle --head average "
        "--weights float16 --verify samples/clips/balance.mp4; then: edgepose convert my-bundle "
        "my-int8-bundle --precision int8",
    )
    parser.add_argument(
        "source",
        type=Path,
        help="a checkpoint; for int8 and for Triton the name or folder of a bundle",
    )
    parser.add_argument(
        "out",
        type=Path,
        help="folder of the bundle or of the model repository, or file of weights or of a selector",
    )
    parser.add_argument(
        "--to",
        choices=("bundle", "triton", "selector"),
        default="bundle",
        help="what to write: a bundle, the model repository of a Triton server, or the ONNX file "
        "of a key-frame selector",
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="replace a bundle, weights or a selector that are there",
    )
    _add_import_options(parser)
    _add_int8_options(parser)
    _add_network_options(parser)
    _add_manifest_options(parser)
    _add_verification_options(parser)
    _add_serving_options(parser)
    _add_selector_options(parser)


def run(args: argparse.Namespace) -> int:
    """Convert, and print how well the runtimes agree."""
    if args.to == "triton":
        from edgepose_converters.cli.triton import convert

        return convert(args)
    needed = ["torch", "onnx", "onnxruntime"]
    if args.to == "selector":
        require_packages("convert", "convert", *needed)
        from edgepose_converters.cli.convert_selector import run as convert_selector

        return convert_selector(args)
    if args.precision == "int8":
        needed.append("nncf")
    require_packages("convert", "convert", *needed)
    from edgepose_converters.cli.convert_bundle import run as convert_bundle

    return convert_bundle(args)


def _add_import_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("published checkpoints")
    group.add_argument(
        "--from",
        dest="form",
        choices=(
            *("edgepose", "hrnet", "simple-baselines", "torchvision", "movenet", "rtmpose"),
            "bundle",
        ),
        default="edgepose",
        help="who wrote the checkpoint (default: edgepose train). A classifier of torchvision, the "
        "graphs of MoveNet Lightning and RTMPose-s and the body of a float bundle become a file "
        "of weights for a recipe to start from, RTMPose-s also for --head",
    )
    group.add_argument("--skeleton", help="joints to convert the last layer to (default: its own)")
    group.add_argument(
        "--input-size",
        type=whole_number(32),
        default=256,
        metavar="PIXELS",
        help="side of the image that it was trained for (default: 256)",
    )
    group.add_argument(
        "--stride-in-1x1",
        action="store_true",
        help="the ResNet's bottlenecks stride in their first convolution, as Caffe's do",
    )


def _add_int8_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("int8")
    group.add_argument(
        "--precision",
        choices=("float32", "int8"),
        default="float32",
        help="what the graphs compute in (default: float32)",
    )
    group.add_argument(
        "--max-drop",
        type=float,
        default=0.5,
        metavar="POINTS",
        help="refuse to lose more of PCK-torso@0.2 than this (default: 0.5)",
    )
    group.add_argument(
        "--float-layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="layers that stay float besides those that are found sensitive, such as '/ppu/*'",
    )
    group.add_argument(
        "--int8-layers",
        nargs="+",
        default=[],
        metavar="PATTERN",
        help="layers that are not searched for sensitive ones; '*' for a checkpoint that was "
        "trained with int8 rounding",
    )
    group.add_argument(
        "--calibration-frames",
        type=whole_number(1),
        default=300,
        metavar="N",
        help="frames of training clips that the ranges of activations come from (default: 300)",
    )
    group.add_argument(
        "--limit-clips",
        type=whole_number(1),
        metavar="N",
        help="measure on N validation clips only",
    )
    group.add_argument(
        "--data-root",
        type=Path,
        metavar="DIR",
        help="folder that holds jhmdb, for calibration and measurement, and people, whose pictures "
        "MoveNet's norms and RTMPose's means are taken from (default: EDGEPOSE_DATA)",
    )


def _add_network_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("networks")
    group.add_argument(
        "--head",
        metavar="CHECKPOINT|average|rtmpose:FILE",
        help="start sequences with the network of another checkpoint, with the average of the "
        "own one over views of the image (average:CHECKPOINT for both), or with RTMPose-s, whose "
        "FILE is the published graph or weights made of it by --from rtmpose",
    )
    group.add_argument(
        "--propagation",
        choices=("flow",),
        help="of a bundle as source, whose head is final: OUT is a copy in which the optical flow "
        "of the joints takes the place of the propagation unit; see --reinitialise-every",
    )
    group.add_argument(
        "--base",
        metavar="BUNDLE",
        help="of a network for single images as source: OUT is a copy of this float bundle with it "
        "as the light network. Head, person detector, springs and thresholds stay, as for a "
        "fine-tuned ppn-swift",
    )
    group.add_argument(
        "--detector",
        type=Path,
        metavar="FILE",
        help="add a person detector, for several people: the published graph of RTMDet-nano. Of "
        "a bundle as source, OUT is a copy with it",
    )
    group.add_argument(
        "--scales",
        type=comma_separated(float),
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
        "--head-is-final",
        action="store_true",
        help="of a frame on which the head runs, take its pose as it is: for a head that is much "
        "more accurate than the light network (default: the light network starts from it)",
    )
    group.add_argument(
        "--model-card",
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


def _add_selector_options(parser: argparse.ArgumentParser) -> None:
    from edgepose.inference.model import DEFAULT_MODEL  # not at the top: it loads OpenCV

    group = parser.add_argument_group("selectors of key frames")
    group.add_argument(
        "--model",
        default=DEFAULT_MODEL,
        help="bundle of the body that the selector was trained on (default: %(default)s)",
    )
