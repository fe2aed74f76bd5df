"""``edgepose springs``: learn what thin-slicing needs for a model."""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepose.cli.extras import require_packages
from edgepose.inference.model import DEFAULT_MODEL, PoseModel, bundle_path, load
from edgepose.utils.arguments import share, whole_number
from edgepose.utils.output_files import check_picture, check_writable, create_file
from edgepose.utils.progress import show_progress
from edgepose_runtime.bundles.bundle import load_bundle, with_springs
from edgepose_runtime.bundles.springs_json import dump_springs, read_springs
from edgepose_runtime.errors import ConfigError
from edgepose_runtime.thin_slicing.springs import Springs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from edgepose.datasets.clips import Clip
    from edgepose.training.springs.windows import Look, SliceWindows

    Report = Callable[[float], None]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "springs",
        help="learn the springs of thin-slicing for a model",
        epilog="Example: edgepose springs ppn-swift --out springs.json --plot springs.png",
    )
    parser.add_argument(
        "model", nargs="?", default=DEFAULT_MODEL, help="name or folder of a bundle"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the springs (.json)")
    parser.add_argument(
        "--springs", type=Path, metavar="FILE", help="take these instead of learning some"
    )
    parser.add_argument("--into-bundle", action="store_true", help="put them into the bundle")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them on a skeleton (.png)")
    parser.add_argument(
        "--windows",
        type=Path,
        metavar="FILE",
        help="where the model's heat-maps are kept, or were (.npz)",
    )
    group = parser.add_argument_group("learning")
    group.add_argument("--root", type=Path, metavar="DIR", help="folder of the JHMDB clips")
    group.add_argument(
        "--clips", type=whole_number(1), default=120, metavar="N", help="at most so many"
    )
    group.add_argument(
        "--perturbed",
        type=float,
        default=0.4,
        metavar="SHARE",
        help="of the frames of a second copy of the clips that are blurred or covered; 0: no copy",
    )
    group.add_argument(
        "--perturbed-only",
        action="store_true",
        help="learn on that copy alone, so that neighbours have something to add",
    )
    group.add_argument(
        "--downscale",
        type=share,
        default=1.0,
        metavar="FACTOR",
        help="show crops at such a part of their resolution: on clips that a model was trained on "
        "it errs less than on new ones (default: 1)",
    )
    group.add_argument(
        "--reach", type=whole_number(0), default=1, help="frames that are neighbours"
    )
    group.add_argument("--loss", choices=("choice", "hinge"), default="choice")
    group.add_argument("--steps", type=whole_number(1), default=160, help="on halved heat-maps")
    group.add_argument("--fine-steps", type=whole_number(0), default=0, help="then on whole ones")
    group.add_argument("--rounds", type=whole_number(1), default=3, help="of messages")
    group.add_argument(
        "--learn-time", action="store_true", help="learn springs and weights in time as well"
    )
    group.add_argument(
        "--time-only",
        action="store_true",
        help="no messages within frames; learn what those in time count, on whole heat-maps",
    )


def run(args: argparse.Namespace) -> int:
    """Collect heat-maps, learn springs, and write them; return the exit code."""
    if not (args.out or args.plot or args.into_bundle):
        raise ConfigError("Nothing would be kept; add --out FILE, --plot FILE or --into-bundle.")
    _check_learning(args)
    for path in filter(None, (args.out, args.plot, args.windows)):
        check_writable(path)
    if args.plot is not None:
        check_picture(args.plot)
    springs = read_springs(args.springs) if args.springs is not None else _learned(args)
    if args.out is not None:
        with create_file(args.out) as file:
            file.write(dump_springs(springs).encode())
    if args.plot is not None:
        from edgepose.training.springs.plot import plot_springs

        plot_springs(springs, args.plot)
    if args.into_bundle:
        with_springs(load_bundle(bundle_path(args.model)), springs)
    return 0


def _check_learning(args: argparse.Namespace) -> None:
    if args.perturbed_only and not args.perturbed:
        raise ConfigError(
            "--perturbed-only needs perturbed frames; give --perturbed a share above 0."
        )
    if args.time_only and (args.learn_time or args.fine_steps or args.loss != "choice"):
        raise ConfigError(
            "--time-only learns in one way, on whole heat-maps; leave out --learn-time, "
            "--fine-steps and --loss."
        )
    if args.time_only and not args.reach:
        raise ConfigError("--time-only needs neighbours in time; give --reach 1 or more.")


def _learned(args: argparse.Namespace) -> Springs:
    require_packages("springs", "train", "torch", "matplotlib")
    with load(args.model, precision="float32", num_threads=1) as model:
        return _learn(args, model, _windows(args, model))


def _windows(args: argparse.Namespace, model: PoseModel) -> SliceWindows:
    from edgepose.datasets.readers.damaged_files import skip
    from edgepose.datasets.readers.jhmdb import read_jhmdb_clips
    from edgepose.datasets.root import data_root
    from edgepose.evaluation.perturbation import Perturbation, perturbed
    from edgepose.training.springs.windows import (
        SliceWindows,
        collect_windows,
        downsampled,
        tracked,
    )
    from edgepose_runtime.thin_slicing.optical_flow import optical_flow

    if args.windows is not None and args.windows.exists():
        return SliceWindows.load(args.windows)
    root = args.root or data_root() / "jhmdb"
    read = read_jhmdb_clips(root, "train", grade="A", on_broken=skip)
    count = min(args.clips, len(read))
    clips = [read[index * len(read) // count] for index in range(count)]
    degraded = [perturbed(clip, Perturbation(args.perturbed, seed=1)) for clip in clips]
    if args.perturbed_only:
        clips = degraded
    elif args.perturbed:
        clips += degraded
    with show_progress("Looking", len(clips)) as progress:

        def followed() -> Iterator[Clip]:
            for clip in clips:
                progress.advance()
                yield clip

        method, spec = model.method, model.method.spec
        ages = itertools.cycle(range(spec.reinitialise_every or 1))

        def new_look() -> Look:
            look = tracked(method, every=spec.reinitialise_every, age=next(ages))
            return downsampled(look, args.downscale)

        windows = collect_windows(followed(), new_look, spec, optical_flow("dis"))
    if args.windows is not None:
        windows.save(args.windows)
    return windows


def _learn(args: argparse.Namespace, model: PoseModel, windows: SliceWindows) -> Springs:
    """Learn the messages within frames at half size, and go on at full size if that is wanted.

    Without messages within frames only the weights in time are learned, at full size at once.

    Those in time stay as they are, unless asked for: the model was trained on these clips, and so
    trusts its own frames more than it can on clips that are new to it.
    """
    learn = _learn_time if args.time_only else _learn_both
    steps = args.steps if args.time_only else args.steps + args.fine_steps
    with show_progress("Learning", steps) as progress:

        def report(loss: float) -> None:
            progress.advance(note=f"loss {loss:.3f}")

        springs = learn(args, model, windows, report)
    mean = springs.temporal_weight.mean() if springs.graph.reach else 0.0
    within = springs.spatial_weight.mean() if springs.graph.edges else 0.0
    sys.stdout.write(
        f"Messages within frames count {within:.3f}, in time {mean:.3f}; "
        "a frame's own heat-maps 1.\n"
    )
    return springs


def _learn_time(
    args: argparse.Namespace, model: PoseModel, windows: SliceWindows, report: Report
) -> Springs:
    from edgepose.training.springs.learning import SpringSettings, learn_springs, measured_springs
    from edgepose_runtime.thin_slicing.graph import PoseGraph

    start = measured_springs(PoseGraph(model.skeleton, (), args.reach), windows)
    settings = SpringSettings(
        args.steps, loss=args.loss, frozen=("gain", "bias", "temporal", "spatial", "spatial_weight")
    )
    return learn_springs(windows, replace(start, rounds=args.rounds), settings, report)


def _learn_both(
    args: argparse.Namespace, model: PoseModel, windows: SliceWindows, report: Report
) -> Springs:
    from edgepose.training.springs.learning import SpringSettings, learn_springs, measured_springs
    from edgepose_runtime.thin_slicing.graph import body_graph
    from edgepose_runtime.thin_slicing.springs import resized, signed

    halves = windows.halved()
    start = measured_springs(body_graph(model.skeleton, args.reach), halves)
    start = replace(start, rounds=args.rounds)
    start = start if args.loss == "choice" else signed(start)
    frozen = (
        ("gain", "bias") if args.learn_time else ("gain", "bias", "temporal", "temporal_weight")
    )
    coarse = SpringSettings(args.steps, loss=args.loss, frozen=frozen)
    springs = learn_springs(halves, start, coarse, report)
    springs = resized(springs, model.method.spec.heatmap_size)
    if not args.fine_steps:
        return springs
    fine = replace(coarse, steps=args.fine_steps, learning_rate=0.005)
    return learn_springs(windows, springs, fine, report)
