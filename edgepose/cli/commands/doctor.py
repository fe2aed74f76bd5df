"""``edgepose doctor``: what this installation has, what is wrong with it, and what to do."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from edgepose.cli.diagnosis import CheckResult, run_checks
from edgepose.cli.engine_options import add_engine_options, engine_options
from edgepose.cli.tables import format_table
from edgepose.cli.warming import warm
from edgepose.inference.model import DEFAULT_MODEL


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser: argparse.ArgumentParser = subparsers.add_parser(
        "doctor",
        help="check this installation and its devices",
        epilog="The exit code is 1 if something that is needed is broken.",
    )
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.add_argument(
        "--warm",
        nargs="?",
        const=DEFAULT_MODEL,
        metavar="MODEL",
        help="first compile a model and all kernels into the caches, for an image or a service "
        f"(default: {DEFAULT_MODEL})",
    )
    add_engine_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print the report; 1 if something is wrong."""
    if args.warm is not None:
        warm(args.warm, engine_options(args))
    results = run_checks()
    sys.stdout.write(as_json(results) if args.json else as_text(results))
    return 1 if any(finding.problem for finding in results) else 0


def as_text(results: Sequence[CheckResult]) -> str:
    """Return the results as a table, and below it what to do."""
    rows = [(finding.name, finding.value) for finding in results]
    parts = [format_table(rows, align="<")]
    for finding in results:
        parts += [
            f"\n{finding.name}: {what}\n" for what in (finding.problem, finding.advice) if what
        ]
    if not any(finding.problem for finding in results):
        parts.append("\nAll is well.\n")
    return "".join(parts)


def as_json(results: Sequence[CheckResult]) -> str:
    """Return the results for a program."""
    content = {
        "format": "edgepose.doctor",
        "version": 1,
        "healthy": not any(finding.problem for finding in results),
        "results": [asdict(finding) for finding in results],
    }
    return json.dumps(content, indent=1) + "\n"
