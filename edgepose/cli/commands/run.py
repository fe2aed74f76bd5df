"""``edgepose run``: a service of cameras, from one file."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from edgepose.service.check import check_config
from edgepose.service.config_file import read_config
from edgepose.service.service import Service
from edgepose.stats import TrackerStats
from edgepose.utils.signals import StopSignals

_STOPPING = "\nStopping; once more stops at once.\n"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "run",
        help="run a service of cameras from a configuration file",
        epilog="example: edgepose run /etc/edgepose.toml. Exit code: 0 after SIGTERM or when all "
        "files were read, 1 after an error, 2 for a wrong configuration, 130 after Ctrl-C.",
    )
    parser.add_argument("config", type=Path, metavar="CONFIG.toml", help="the configuration")
    parser.add_argument(
        "--check", action="store_true", help="check the configuration, open nothing, and end"
    )


def run(args: argparse.Namespace) -> int:
    """Run a service and return the exit code."""
    config = read_config(args.config)
    if args.check:
        check_config(config)
        print(f"{args.config}: fine, {len(config.camera)} cameras.")
        return 0
    # systemd and containers add the time to each line.
    logging.basicConfig(format="%(levelname)s %(message)s", stream=sys.stderr)
    logging.getLogger("edgepose").setLevel(logging.INFO)
    service = Service(config)
    with StopSignals(_STOPPING) as stop:
        service.run(lambda: stop.stopped, _announce)
    for camera, stats in service.stats.items():
        sys.stderr.write(f"{camera}: {_summary(stats)}\n")
    return stop.exit_code(is_live=True)


def _announce(url: str) -> None:
    sys.stderr.write(f"edgepose: The preview is at {url}\n")


def _summary(stats: TrackerStats) -> str:
    drops = ", ".join(f"{count} {reason}" for reason, count in sorted(stats.drops.items()))
    return (
        f"{stats.frames} frames: {stats.poses} poses, {stats.without_person} without a person, "
        f"{stats.errors} errors, dropped {drops or 'none'}, {stats.pending} pending"
    )
