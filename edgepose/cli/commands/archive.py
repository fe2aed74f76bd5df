"""``edgepose archive``: every pose of many videos, exactly once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from edgepose.archive.driver import Limits
from edgepose.archive.engines.base import Engine
from edgepose.archive.engines.local import LocalEngine
from edgepose.archive.engines.ray import RayEngine, cluster_cpus
from edgepose.archive.engines.worker import WorkerSettings
from edgepose.archive.folder import ArchiveFolder
from edgepose.archive.report import Status, read_status
from edgepose.archive.run import ArchiveJob, run_archive
from edgepose.archive.settings import CutSettings, TrackSettings
from edgepose.cli.archive_display import archive_display, report_text, status_text
from edgepose.cli.engine_options import add_engine_options, engine_options
from edgepose.cli.extras import require_packages
from edgepose.inference.model import DEFAULT_MODEL
from edgepose.tracking.search.search_budget import DEFAULT_BUDGET
from edgepose.utils.arguments import number_of_people, share, whole_number
from edgepose.utils.machine import usable_cores
from edgepose.utils.signals import StopSignals
from edgepose_runtime.errors import ConfigError

_LIMITS, _CUT = Limits(), CutSettings()
_STOPPING = "\nStopping; units that are not finished will be tracked by the next run.\n"
#: Some units were given up.
SOME_FAILED = 1


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "archive",
        help="track many videos, each exactly once",
        epilog="example: edgepose archive films/ --out poses --workers 4. A second run does what "
        "is missing. Exit code: 0 when everything is done, 1 if videos failed, 2 after wrong "
        "usage, 130 after Ctrl-C.",
    )
    parser.add_argument(
        "source",
        nargs="?",
        help="a folder of videos, a text file with a path in each line, or a pattern in quotes",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=Path, metavar="DIR", help="the folder of the archive")
    place.add_argument("--status", type=Path, metavar="DIR", help="show how far an archive is")
    parser.add_argument("--model", default=DEFAULT_MODEL, help="name or folder of a bundle")
    _add_run_options(parser.add_argument_group("run"))
    _add_tracking_options(parser.add_argument_group("tracking"))
    add_engine_options(parser)


def _add_run_options(group: Any) -> None:
    group.add_argument(
        "--engine",
        choices=("local", "ray"),
        default="local",
        help="processes of this machine, or a Ray cluster (default: local)",
    )
    group.add_argument(
        "--address",
        metavar="ADDRESS",
        help="with --engine ray: the cluster, such as auto (default: one on this machine)",
    )
    group.add_argument(
        "--workers", type=whole_number(1), metavar="N", help="how many (default: one per core)"
    )
    group.add_argument(
        "--tries",
        type=whole_number(1),
        default=_LIMITS.tries,
        metavar="N",
        help="per unit (default: %(default)s)",
    )
    group.add_argument(
        "--unit-timeout",
        type=float,
        default=_LIMITS.unit_timeout_s,
        metavar="S",
        help="seconds per unit at most (default: %(default)g)",
    )
    group.add_argument(
        "--stall-timeout",
        type=float,
        default=_LIMITS.stall_timeout_s,
        metavar="S",
        help="give a video up that delivers no frame for so many seconds (default: %(default)g)",
    )
    group.add_argument(
        "--frames-per-unit",
        type=whole_number(2),
        default=_CUT.frames_per_unit,
        metavar="N",
        help="cut longer files into ranges of so many frames (default: %(default)s)",
    )
    group.add_argument(
        "--overlap",
        type=whole_number(1),
        default=_CUT.overlap,
        metavar="N",
        help="frames tracked before each range, by which identities are joined "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--retry-failed", action="store_true", help="try videos again that were given up"
    )


def _add_tracking_options(group: Any) -> None:
    group.add_argument("--max-people", type=number_of_people, default=1, metavar="N|all")
    group.add_argument("--key-frames", action="store_true", help="look at few frames")
    group.add_argument("--max-key-rate", type=share, metavar="PART", help="part of the frames")
    group.add_argument("--refine", choices=("thin-slicing",), help="use neighbouring frames")
    group.add_argument("--lag-frames", type=whole_number(0), metavar="N")
    group.add_argument("--reinitialise-every", type=int, metavar="N")
    group.add_argument("--search-budget", type=float, default=DEFAULT_BUDGET, metavar="STEPS")
    group.add_argument("--no-smoothing", dest="smoothing", action="store_false")
    group.add_argument(
        "--allow-damaged",
        action="store_true",
        help="keep the poses of damaged files, of all frames that can be decoded",
    )


def run(args: argparse.Namespace) -> int:
    """Track what is missing, or show the status, and return the exit code."""
    require_packages("archive", "archive", "pyarrow")
    if args.status is not None:
        _show_status(args.status)
        return 0
    if args.source is None:
        raise ConfigError("edgepose archive needs a folder, a manifest or a pattern of videos.")
    return _run(args, _job(args))


def _run(args: argparse.Namespace, job: ArchiveJob) -> int:
    make_engine, workers = _engine(args)
    with StopSignals(_STOPPING) as stop, archive_display() as observe:
        report = run_archive(
            job, make_engine, workers, should_stop=lambda: stop.stopped, observe=observe
        )
    sys.stdout.write(report_text(report, workers))
    if stop.stopped:
        return stop.exit_code(is_live=False)
    return SOME_FAILED if _show_status(job.out).failed else 0


def _engine(args: argparse.Namespace) -> tuple[Callable[[WorkerSettings], Engine], int]:
    """Return what makes the workers, and how many of them."""
    if args.engine == "ray":
        cores = cluster_cpus(args.address) if args.address and not args.workers else usable_cores()
        return partial(RayEngine, address=args.address), args.workers or cores
    if args.address is not None:
        raise ConfigError("--address is that of a Ray cluster; give --engine ray with it.")
    return LocalEngine, args.workers or usable_cores()


def _job(args: argparse.Namespace) -> ArchiveJob:
    engine = engine_options(args)
    tracking = TrackSettings(
        model=args.model,
        **{**engine, "num_threads": engine["num_threads"] or 1},
        smoothing=args.smoothing,
        reinitialise_every=args.reinitialise_every,
        search_budget=args.search_budget,
        max_people=args.max_people,
        key_frames=args.key_frames,
        max_key_rate=args.max_key_rate,
        thin_slicing=args.refine is not None,
        lag_frames=args.lag_frames,
        allow_damaged=args.allow_damaged,
    )
    return ArchiveJob(
        args.source,
        args.out,
        tracking,
        CutSettings(args.frames_per_unit, args.overlap),
        Limits(args.tries, args.unit_timeout, args.stall_timeout),
        retry_failed=args.retry_failed,
    )


def _show_status(path: Path) -> Status:
    status = read_status(ArchiveFolder(path))
    sys.stdout.write(status_text(status))
    return status
