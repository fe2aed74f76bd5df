"""``edgepose train``: train a network, a dictionary of dynamics or a selector by a recipe."""

from __future__ import annotations

import argparse
import logging
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepose.cli.extras import require_packages
from edgepose.cli.preparation import (
    add_preparation_options,
    prepare,
    refuse_preparation_options,
)
from edgepose.datasets.root import data_root
from edgepose.utils.arguments import whole_number
from edgepose.utils.progress import show_progress
from edgepose_runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from edgepose.training.config.loader import Recipe
    from edgepose.training.distributed.launch import Launch
    from edgepose.training.trainer import Progress, RunSettings

RUNS = Path("runs")
Report = Callable[["Progress"], None]
Training = Callable[[Report], bool]


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "train",
        help="train networks, dictionaries of dynamics and key-frame selectors",
        epilog="Example: edgepose train ppn-swift-body --set optimiser.learning_rate=5e-4",
    )
    parser.add_argument("config", help="a recipe: a TOML file, or the name of a shipped one")
    parser.add_argument(
        "--data-root", type=Path, metavar="DIR", help="folder of the sets (default: EDGEPOSE_DATA)"
    )
    parser.add_argument(
        "--out", type=Path, metavar="DIR", help="checkpoint, log and curves (default: runs/RECIPE)"
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="OPTION=VALUE",
        help="change an option of the recipe, such as seed=1; may be repeated",
    )
    _add_run_options(parser.add_argument_group("run"))
    add_preparation_options(parser)


def _add_run_options(group: Any) -> None:
    group.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint in the folder, if any"
    )
    group.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1, ... (default: cpu)")
    group.add_argument(
        "--num-threads", type=whole_number(1), metavar="N", help="CPU threads of the network"
    )
    group.add_argument(
        "--workers",
        type=whole_number(0),
        metavar="N",
        help="processes that prepare batches (default: a few)",
    )
    group.add_argument(
        "--max-minutes", type=float, default=math.inf, metavar="M", help="stop then, to be resumed"
    )


def run(args: argparse.Namespace) -> int:
    """Train; return the exit code: 0 also where a run was stopped and left its checkpoint."""
    require_packages("train", "train", "torch", "matplotlib")
    from edgepose.training.config.loader import load_recipe
    from edgepose.training.distributed.launch import find_launch

    launch = find_launch()
    prefix = f"process {launch.rank}: " if launch.count > 1 else ""
    logging.basicConfig(level=logging.WARNING, format=f"{prefix}%(message)s")
    config = load_recipe(args.config, args.set)
    if args.prepare is not None:
        _require_one_process("--prepare builds sets", launch)
        return prepare(args, config, _data(args))
    refuse_preparation_options(args)
    settings = _settings(args, config, launch)
    root = _data(args)
    _use_threads(args.num_threads)
    training = _training(config, root, settings, launch)
    with _reporting(config.name, config.total_steps, launch) as report:
        done = training(report)
    if launch.is_main:
        print(_final_message(args, settings, launch, done))
    return 0


def _training(config: Recipe, root: Path, settings: RunSettings, launch: Launch) -> Training:
    """Return the training of a recipe, ready to run; it returns whether it came to its end."""
    from edgepose.training.config.dynamics import DynamicsConfig
    from edgepose.training.config.selectors import SelectorConfig

    if isinstance(config, DynamicsConfig | SelectorConfig):
        _require_one_process(f"The recipe {config.name!r} trains", launch)
    if isinstance(config, DynamicsConfig):
        from edgepose.training.dynamics.trainer import train_dynamics

        return partial(train_dynamics, config, root, settings)
    if isinstance(config, SelectorConfig):
        from edgepose.training.selectors.trainer import prepare_selectors, train_selectors

        data = prepare_selectors(config, root, settings)
        return partial(train_selectors, config, data, settings)
    from edgepose.training.run import train

    return partial(train, config, root, settings)


def _require_one_process(what: str, launch: Launch) -> None:
    if launch.count > 1:
        raise ConfigError(f"{what} in one process; run it without torchrun.")


def _settings(args: argparse.Namespace, config: Recipe, launch: Launch) -> RunSettings:
    from edgepose.training.trainer import RunSettings

    settings = RunSettings(
        folder=args.out or RUNS / config.name,
        device=args.device,
        workers=_default_workers(launch) if args.workers is None else args.workers,
        resume=args.resume,
        max_minutes=args.max_minutes,
    )
    if settings.checkpoint.exists() and not settings.resume:
        raise ConfigError(
            f"{settings.folder} holds the checkpoint of a run: give --resume to go on with it, "
            "or another folder with --out."
        )
    return settings


def _default_workers(launch: Launch) -> int:
    return min(4, max(1, (os.cpu_count() or 1) // launch.local_count))


def _data(args: argparse.Namespace) -> Path:
    root: Path = args.data_root or data_root()
    if not root.is_dir():
        raise DataError(f"There is no data folder at '{root}'.")
    return root


def _use_threads(count: int | None) -> None:
    import torch

    if count is not None:
        torch.set_num_threads(count)


@contextmanager
def _reporting(name: str, total: int, launch: Launch) -> Iterator[Report]:
    """Show progress: a bar on a terminal, otherwise a line for every row of the log."""
    if not launch.is_main:
        yield lambda _: None
        return
    if not sys.stderr.isatty():
        yield _print_rows
        return
    with show_progress(f"Training {name}", total) as bar:
        yield _bar_report(bar)


def _bar_report(bar: Any) -> Report:
    done, note = 0, ""

    def report(progress: Progress) -> None:
        nonlocal done, note
        note = _summary(progress) if progress.metrics else note
        bar.advance(progress.step - done, note)
        done = progress.step

    return report


def _print_rows(progress: Progress) -> None:
    if progress.metrics:
        print(f"step {progress.step}/{progress.total}: {_summary(progress)}", flush=True)


def _summary(progress: Progress) -> str:
    """The last losses and accuracy, for the progress bar."""
    shown = {
        name: value
        for name, value in progress.metrics.items()
        if name.startswith("loss") or "pck" in name or name in ("lambda", "images_per_second")
    }
    return ", ".join(f"{name} {value:.4g}" for name, value in shown.items())


def _final_message(
    args: argparse.Namespace, settings: RunSettings, launch: Launch, done: bool
) -> str:
    if done:
        return f"Done: {settings.checkpoint}"
    words = [*_program(launch), "train", args.config, "--out", str(settings.folder), "--resume"]
    words += ["--data-root", str(args.data_root)] if args.data_root else []
    words += ["--device", args.device] if args.device != "cpu" else []
    words += [word for change in args.set for word in ("--set", change)]
    checkpoint = settings.checkpoint
    kept = f"the checkpoint is {checkpoint}"
    if not checkpoint.exists():  # a selector's comes at the end
        kept = f"its state is in {settings.folder}"
    return f"Stopped; {kept}. Go on with: {shlex.join(words)}"


def _program(launch: Launch) -> list[str]:
    """Return how the program is started; on several machines without the options of torchrun."""
    if launch.count == 1:
        return ["edgepose"]
    alone = launch.count == launch.local_count
    options = ["--standalone", "--nproc-per-node", str(launch.count)] if alone else ["..."]
    return ["torchrun", *options, "-m", "edgepose"]
