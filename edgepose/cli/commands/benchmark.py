"""``edgepose benchmark``: speed and accuracy of models and their peers, in one run."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2

from edgepose.benchmarking.accuracy import AccuracyReport, measure_accuracy, read_accuracy
from edgepose.benchmarking.candidates import BenchmarkModel, engines
from edgepose.benchmarking.frames import BenchmarkFrames, read_benchmark_frames, sample_clip
from edgepose.benchmarking.model_set import ModelSet, open_model_set
from edgepose.benchmarking.peers import PEERS, Peer, choose_peers
from edgepose.benchmarking.report import as_text
from edgepose.benchmarking.result import Outcome
from edgepose.benchmarking.timing import Plan, measure
from edgepose.cli.extras import require_packages
from edgepose.datasets.root import data_root
from edgepose.inference.model import DEFAULT_MODEL, load
from edgepose.utils.arguments import comma_separated, whole_number
from edgepose.utils.machine import describe_machine
from edgepose.utils.output_files import check_picture, check_writable, create_file
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import ConfigError, DataError

NO_PEERS = "none"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "benchmark",
        help="measure speed and accuracy, beside the peers",
        description="Times the step of a tracker and its parts, and other people's networks on "
        "the same frames interleaved in random order; measures the accuracy of all of them on "
        "annotated clips, where there are any.",
        epilog="Example: edgepose benchmark --model ppn-swift --precision auto,float32 "
        "--num-threads 1,2 --json benchmark.json --plot benchmark.png",
    )
    _add_model_options(parser)
    _add_plan(parser)
    group = parser.add_argument_group("accuracy")
    group.add_argument(
        "--data-root", type=Path, metavar="DIR", help="annotated clips (default: EDGEPOSE_DATA)"
    )
    group.add_argument(
        "--accuracy-from", type=Path, metavar="FILE", help="take it from the --json of another run"
    )
    group.add_argument(
        "--heads", action="store_true", help="of the heavy networks alone, too, which takes longer"
    )
    group.add_argument("--no-accuracy", action="store_true", help="measure speed alone")
    group = parser.add_argument_group("output")
    group.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    group.add_argument(
        "--plot", type=Path, metavar="FILE", help="draw accuracy over time (PNG, SVG or PDF)"
    )


def _add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("who takes part (every combination)")
    group.add_argument(
        "--model",
        action="append",
        metavar="BUNDLE",
        help=f"name or folder; may be given several times (default: {DEFAULT_MODEL})",
    )
    texts = comma_separated(str)
    group.add_argument(
        "--backend", type=texts, default=("openvino",), metavar="B,...", help="default: openvino"
    )
    group.add_argument("--device", default="cpu", help="device of the backends (default: cpu)")
    group.add_argument(
        "--precision",
        type=texts,
        default=("float32",),
        metavar="P,...",
        help="auto, float32, ... of the models; peers stay in float32 where it is among them "
        "(default: float32)",
    )
    group.add_argument(
        "--num-threads",
        type=comma_separated(whole_number(1)),
        default=(1,),
        metavar="N,...",
        help="default: 1",
    )
    group.add_argument(
        "--peers",
        type=texts,
        metavar="NAME,...",
        help=f"{', '.join(peer.option for peer in PEERS)}, or none (default: whose weights are "
        "there)",
    )
    group.add_argument("--weights", type=Path, metavar="DIR", help="folder of the peers' weights")


def _add_plan(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("timing")
    group.add_argument(
        "--clip", type=Path, default=sample_clip(), metavar="VIDEO", help="default: the sample clip"
    )
    group.add_argument(
        "--frames", type=whole_number(1), default=60, metavar="N", help="of the clip (default: 60)"
    )
    group.add_argument(
        "--rounds", type=whole_number(1), default=20, metavar="N", help="default: 20"
    )
    group.add_argument("--seed", type=int, default=0, help="of the order in each round")


def run(args: argparse.Namespace) -> int:
    """Time and evaluate all models, print and write the result; return the exit code."""
    _check(args)
    cv2.setNumThreads(1)
    peers = _peers(args)
    plan = Plan(rounds=args.rounds, seed=args.seed)
    model_set, benchmark_frames = _open(args, peers)
    with model_set.opened:
        latency = _time(model_set, plan)
    accuracy = _accuracy(args, list(latency))
    outcome = Outcome(latency, accuracy, model_set.skipped, _settings(plan, benchmark_frames))
    sys.stdout.write(as_text(outcome))
    _write(args, outcome)
    return 0


def _check(args: argparse.Namespace) -> None:
    """Refuse what cannot end well, before anything takes time."""
    if args.no_accuracy and (args.data_root or args.accuracy_from or args.plot or args.heads):
        raise ConfigError(
            "--no-accuracy leaves out what --data-root, --accuracy-from, --heads and --plot are "
            "for; leave out one or the others."
        )
    if args.clip == sample_clip() and not args.clip.is_file():
        raise ConfigError(
            "The sample clip comes only with a checkout of the repository; give a video with "
            "--clip."
        )
    for path in (args.json, args.plot):
        if path is not None:
            check_writable(path)
    if args.accuracy_from is not None:
        read_accuracy(args.accuracy_from)
    if args.plot is not None:
        _check_plot(args)


def _check_plot(args: argparse.Namespace) -> None:
    require_packages("benchmark --plot", "benchmark", "matplotlib")
    check_picture(args.plot)
    if not (args.accuracy_from or _has_data(args)):
        raise DataError(
            "The picture shows accuracy over time, and there are no annotated clips: give "
            "--data-root DIR or --accuracy-from FILE."
        )


def _peers(args: argparse.Namespace) -> Sequence[Peer]:
    """Return the peers.

    Raises:
        DataError: one was named whose weights are missing.
    """
    if args.peers is None:
        return PEERS
    if args.peers == (NO_PEERS,):
        return ()
    chosen = choose_peers(args.peers)
    for peer in chosen:
        peer.require_weights(args.weights)
    return chosen


def _open(args: argparse.Namespace, peers: Sequence[Peer]) -> tuple[ModelSet, BenchmarkFrames]:
    models = args.model or [DEFAULT_MODEL]
    with load(models[0]) as finder:
        benchmark_frames = read_benchmark_frames(args.clip, args.frames, finder)
    plan = engines(args.backend, args.device, args.precision, args.num_threads)
    return open_model_set(models, peers, args.weights, plan, benchmark_frames), benchmark_frames


def _time(model_set: ModelSet, plan: Plan) -> Any:
    with show_progress("Timing", plan.rounds * len(model_set.tasks)) as progress:
        return measure(model_set.tasks, plan, lambda entry: progress.advance(note=entry.label))


def _accuracy(args: argparse.Namespace, entries: Sequence[BenchmarkModel]) -> AccuracyReport | None:
    if args.accuracy_from:
        return read_accuracy(args.accuracy_from)
    if args.no_accuracy or not _has_data(args):
        return None
    return measure_accuracy(entries, args.data_root, heads=args.heads)


def _has_data(args: argparse.Namespace) -> bool:
    """Whether there are annotated clips; those that were asked for are missed later on."""
    if args.data_root is not None:
        return True
    try:
        return (data_root() / "jhmdb").is_dir()
    except DataError:
        return False


def _settings(plan: Plan, benchmark_frames: BenchmarkFrames) -> dict[str, object]:
    height, width = benchmark_frames.frames[0].shape[:2]
    return {
        "clip": benchmark_frames.name,
        "frames": len(benchmark_frames.frames),
        "frame_size": [width, height],
        "rounds": plan.rounds,
        "calls_per_turn": plan.calls,
        "turn_ms": plan.turn_ms,
        "seed": plan.seed,
    }


def _write(args: argparse.Namespace, outcome: Outcome) -> None:
    if args.json is not None:
        content = json.dumps(outcome.as_json(describe_machine()), indent=1)
        with create_file(args.json) as file:
            file.write((content + "\n").encode())
    if args.plot is not None:
        from edgepose.benchmarking.plot import draw_plot

        draw_plot(outcome, args.plot)
